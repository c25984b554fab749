/** Tests that a clock of the database that is set right during the work ends no operation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { until } from '../support/local-host.ts'
import { TO_RUNNING } from '../support/nixos-home.ts'
import { letInstall } from '../support/packages.ts'
import { setDatabaseClock } from '../support/sql.ts'

/** Number of failed probes in which the orchestrator has reached its deadlines more than once. */
const ENOUGH_PROBES = 6

test('requests outlive a clock that was two days behind and is set right', async (t) => {
  const home = await makeHome(t)
  await setDatabaseClock(home.sql, '-2 days')
  await home.addApp('starts', 'deaf', { healthCheck: { path: '/health', interval: 0.2, timeout: 120 } })
  await home.addApp('builds', 'slow-install')
  await home.addApp('queues')
  const agent = await home.orchestrator({ BLOUD_LOG_LEVEL: 'debug' })
  await home.sql.query("select bloud.install('starts')")
  await home.until('starts', 'starting')
  await home.sql.query("select bloud.install('builds')")
  await home.until('builds', 'building')
  await home.sql.query("select bloud.install('queues')")
  await home.until('queues', 'queued')
  const failedProbes = () => agent.output().match(/"problem":"/g)?.length ?? 0
  const before = failedProbes()
  await setDatabaseClock(home.sql, '0')
  await until('the app was probed again', async () => failedProbes() >= before + ENOUGH_PROBES)
  await letInstall(home.packages, 'builds')
  for (const app of ['builds', 'queues']) {
    await home.until(app, 'running', 'failed', 'stopped', null)
    assert.deepEqual(await home.transitionsOf(app), TO_RUNNING, app)
  }
  await home.until('starts', 'starting')
  const late = "select count(*)::int as n from bloud.rebuilds where deadline > now() + interval '1 day'"
  assert.deepEqual((await home.sql.query(late)).rows, [{ n: 0 }])
  assert.deepEqual((await home.sql.query('select * from bloud.check_invariants()')).rows, [])
})
