/**
 * Tests of the HTTP routes for the history of an app, the plan of an install, and the log of an operation.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { lead } from '../support/sql.ts'
import { type Agent, startAgent } from './support.ts'

const ends: (() => unknown)[] = []
let agent: Agent
before(async () => {
  agent = await startAgent({ after: (fn) => ends.push(fn) })
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

const json = async (path: string, headers: Record<string, string> = {}) =>
  (await agent.get(path, headers)).json()

test('the history of an app has every transition, newest first, with origin and duration', async () => {
  assert.deepEqual(await json('/api/apps/alpha/history'), [])
  await agent.post('/api/apps/alpha/install', undefined, { 'x-bloud-origin': 'web' })
  await agent.post('/api/apps/alpha/cancel')
  await agent.post('/api/apps/alpha/install')
  const rows = await json('/api/apps/alpha/history')
  assert.deepEqual(
    rows.map((row: { to_status: string; origin: string }) => [row.to_status, row.origin]),
    [
      ['queued', 'api'],
      ['failed', 'api'],
      ['queued', 'web'],
    ],
  )
  assert.equal(rows[0].duration_seconds, null)
  assert.ok(rows[2].duration_seconds >= 0)
  assert.equal((await json('/api/apps/alpha/history?limit=1')).length, 1)
  assert.equal((await agent.get('/api/apps/alpha/history?limit=0')).status, 400)
})

test('the plan of an install uses the given choices, and invalid choices are refused', async () => {
  const entry = (name: string, integrations = {}) => ({
    name,
    yaml_content: '',
    entry: { name, integrations },
    display_name: name,
    description: '',
    category: 'test',
    version: '1',
    is_system: false,
  })
  const database = { required: true, multi: false, compatible: [{ app: 'one' }, { app: 'two' }] }
  await lead(agent.admin, [entry('one'), entry('two'), entry('needy', { database })])
  const open = await json('/api/apps/needy/plan-install')
  assert.deepEqual([open.blockers[0].sqlstate, open.choices[0].chosen], ['BL007', null])
  const choices = encodeURIComponent('{"needy.database":["two"]}')
  const plan = await json(`/api/apps/needy/plan-install?choices=${choices}`)
  assert.deepEqual([plan.installs, plan.blockers], [['two', 'needy'], []])
  for (const bad of ['{', '{"a":1}', '[]', '{}},"x":{"a":"b"'])
    assert.equal(
      (await agent.get(`/api/apps/needy/plan-install?choices=${encodeURIComponent(bad)}`)).status,
      400,
      bad,
    )
})

test('a polling client reads a log in parts', async () => {
  const { rows } = await agent.admin.query(
    `insert into bloud.rebuilds (attempt, worker, lease_until, deadline, started_at)
     values (1, 't', now(), now(), now()) returning id`,
  )
  await agent.admin.query(
    `update bloud.operations set rebuild_id = $1, state = 'active', started_at = now()
     where app = 'alpha' and state = 'queued'`,
    [rows[0].id],
  )
  await agent.admin.query(
    "insert into bloud.rebuild_log select $1, n, now(), 'line ' || n from generate_series(1, 5) n",
    [rows[0].id],
  )
  const [operation] = await json('/api/operations?app=alpha&limit=1')
  const readLog = (query: string) =>
    json(`/api/operations/${operation.id}/log${query}`, { accept: 'application/json' })
  const first = await readLog('?limit=3')
  assert.deepEqual(
    [first.lines.map((line: { line: string }) => line.line), first.over],
    [['line 1', 'line 2', 'line 3'], false],
  )
  const rest = await readLog('?after=3')
  assert.deepEqual([rest.lines.length, rest.over], [2, false])
  await agent.admin.query(
    "update bloud.operations set state = 'succeeded', finished_at = now() where id = $1",
    [operation.id],
  )
  assert.deepEqual(await readLog('?after=5'), { lines: [], over: true })
})
