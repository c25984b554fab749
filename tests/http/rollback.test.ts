/** Tests of the HTTP routes for a rollback, which activates the previous configuration of the machine. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { refusalOf } from '../support/sql.ts'
import { type Agent, startAgent } from './support.ts'

const ends: (() => unknown)[] = []
let agent: Agent
before(async () => {
  agent = await startAgent({ after: (fn) => ends.push(fn) })
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

const plan = async () => (await agent.get('/api/rollback')).json()

test('without an earlier host generation, a rollback and its plan are refused with the error of SQL', async () => {
  const answer = await agent.post('/api/rollback')
  assert.equal(answer.status, 409)
  const { code, detail, hint } = await answer.json()
  const { code: sqlstate, ...refusal } = await refusalOf(agent.admin, 'select bloud.rollback()')
  assert.deepEqual([code, sqlstate], ['nothing_to_roll_back', 'BL021'])
  assert.deepEqual([detail, hint], [`${refusal.message}. ${refusal.detail}`, refusal.hint])
  assert.deepEqual((await plan()).blockers, [{ sqlstate, ...refusal }])
  assert.equal((await agent.post('/api/rollback', '{"to": "1"}')).status, 400)
  assert.equal((await agent.get('/api/rollback/1')).status, 404)
})

test('a requested rollback is returned as an operation, and a second request returns the same operation', async () => {
  await agent.admin.query(`
    select bloud.acquire_lease('test', 60);
    select bloud.install('alpha');
    select bloud.claim_rebuild(1, 60);
    select bloud.begin_run(1, 1, '1', '{"alpha": {"version": "1", "port": 8001, "integration_config": {}}}');
    select bloud.end_rebuild(1, 1, true, 0, '2');
    select bloud.report_health(1, 'alpha', true)`)
  assert.deepEqual(await plan(), { from: '2', to: '1', turns_off: ['alpha'], turns_on: [], blockers: [] })
  const answer = await agent.post('/api/rollback', '{}', { 'x-bloud-origin': 'web' })
  assert.equal(answer.status, 202)
  const operation = await answer.json()
  const { app, kind, state, origin, options } = operation
  assert.deepEqual(
    { app, kind, state, origin, options },
    { app: null, kind: 'rollback', state: 'queued', origin: 'web', options: { from: '2', to: '1' } },
  )
  assert.deepEqual(await (await agent.get(answer.headers.get('location') as string)).json(), operation)
  assert.equal((await (await agent.post('/api/rollback')).json()).id, operation.id)
  const { rows } = await agent.admin.query(
    "select requested_for::int, origin from bloud.operations where kind = 'uninstall'",
  )
  assert.deepEqual(rows, [{ requested_for: operation.id, origin: 'web' }])
})
