/** Tests of the HTTP server while the database accepts no changes, as a standby or a demoted primary. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { administer } from '../support/cluster.ts'
import { type Agent, startAgent, untilOk } from './support.ts'

/** Makes the database read-only, or writable again, and ends the relay's sessions, as a failover does. */
async function setReadOnly(agent: Agent, active: boolean): Promise<void> {
  const { name } = agent.database
  await administer(async (client) => {
    await client.query(
      `alter database "${name}" set default_transaction_read_only = ${active ? 'on' : 'off'}`,
    )
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = 'bloud_relay'",
      [name],
    )
  })
}

test('on a read-only database every verb is answered with 503, a code, the reason and a hint', async (t) => {
  const agent = await startAgent(t)
  await setReadOnly(agent, true)
  await untilOk(() => agent.get('/api/apps'))
  const before = await agent.written()
  for (const [path, body] of [
    ['/api/apps/alpha/install', '{}'],
    ['/api/apps/alpha/rename', '{"display_name": "Al"}'],
    ['/api/catalog/refresh', '{}'],
  ] as const) {
    const answer = await agent.post(path, body)
    const problem = await answer.json()
    assert.deepEqual([answer.status, problem.code], [503, 'database_read_only'], path)
    assert.match(problem.detail, /read-only/)
    assert.ok(problem.hint)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
  }
  assert.equal(await agent.written(), before)
  await setReadOnly(agent, false)
  await untilOk(() => agent.post('/api/apps/alpha/install', '{}'))
})

test('while the database is read-only the agent is not ready and the stream is stale', async (t) => {
  const agent = await startAgent(t)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  await setReadOnly(agent, true)
  await stream.until(() => stream.named('stale').length > 0)
  const ready = await agent.get('/readyz')
  assert.equal(ready.status, 503)
  const { causes } = await ready.json()
  const found = causes.find(({ cause }: { cause: string }) => cause === 'read_only')
  assert.match(found.sentence, /accepts no changes/)
  assert.ok(found.hint)
  const beats = stream.named('heartbeat').length
  await setReadOnly(agent, false)
  await stream.until(() => stream.named('heartbeat').length > beats)
  await agent.post('/api/apps/alpha/install', '{}')
  await stream.until(() => stream.named('app').length > 0)
})
