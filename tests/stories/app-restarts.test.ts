/** Tests that a restart of a crashed app is recorded, and that no later cause names its exit code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { answer, get, until, wanted } from '../support/local-host.ts'

test('an app that is killed and started again has an event and a count with the exit code', async (t) => {
  const home = await makeHome(t)
  const healthCheck = { path: '/health', interval: 3600, timeout: 60 }
  const port = await home.addApp('app', 'switchable', { healthCheck })
  const app = wanted('app', port, 'file:/none')
  const first = await home.orchestrator()
  await home.sql.query("select bloud.install('app')")
  await home.until('app', 'running')
  const since = await home.sql.query('select status_since from bloud.apps')
  const pid = Number(await answer(app, '/pid'))
  process.kill(pid, 'SIGKILL')
  await home.untilTrue("select restarts ->> 'count' = '1' from bloud.app_status")
  const { rows } = await home.sql.query(
    `select h.from_status, h.to_status, h.message, s.status, s.cause, s.restarts ->> 'exit_code' as code
     from bloud.history h, bloud.app_status s order by h.seq desc limit 1`,
  )
  assert.deepEqual(rows, [
    {
      from_status: 'running',
      to_status: 'running',
      message: 'app ended with exit code 137 and was started again',
      status: 'running',
      cause: null,
      code: '137',
    },
  ])
  assert.deepEqual((await home.sql.query('select status_since from bloud.apps')).rows, since.rows)
  assert.deepEqual((await home.sql.query('select * from bloud.check_invariants()')).rows, [])

  // The next orchestrator records nothing twice, and names no exit code of the earlier process.
  await until('the app answers', async () => (await get(app, '/health')) !== null)
  await first.end('SIGKILL')
  await home.expireLease()
  await fetch(`http://127.0.0.1:${port}/unhealthy`, { method: 'POST' })
  await home.orchestrator()
  await home.until('app', 'error')
  const cause = await home.cause('app')
  assert.match(String(cause?.message), /answered 503/)
  assert.equal(cause?.exit_code, undefined)
  const events = await home.sql.query('select count(*)::int from bloud.events where from_status = to_status')
  assert.deepEqual(events.rows, [{ count: 1 }])
})
