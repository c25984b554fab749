/**
 * Tests that a requested install succeeds although the orchestrator (worker that executes operations) is
 * killed, and that the next orchestrator does not repeat completed steps.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { startProcess } from '../support/agent.ts'
import { type Home, makeHome } from '../support/home.ts'
import { settings } from '../support/npmstart.ts'
import { letInstall } from '../support/packages.ts'
import { session } from '../support/sql.ts'

const INSTALLING = "select exists (select from bloud.rebuild_log where line like '%installing%app%')"
const LIFE = [
  '→queued',
  'queued→configuring',
  'configuring→building',
  'building→starting',
  'starting→running',
]

async function hold(home: Home, phase: string): Promise<() => Promise<void>> {
  const holder = await session(home.database.url)
  await holder.query('select pg_advisory_lock(1)')
  await home.sql.query(`
    create function public.hold() returns trigger language plpgsql security definer as
      $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
    create trigger hold before update of status on bloud.apps for each row
      when (old.status = '${phase}') execute function public.hold()`)
  return () => holder.end()
}

async function killIn(t: TestContext, phase: string): Promise<Home> {
  const home = await makeHome(t)
  await home.addApp('app', 'slow-install')
  const first = await home.orchestrator()
  const release = await hold(home, phase)
  await home.sql.query("select bloud.install('app')")
  if (phase === 'building') await home.untilTrue(INSTALLING)
  else await letInstall(home.packages, 'app')
  await home.until('app', phase)
  await first.end('SIGKILL')
  await release()
  return home
}

for (const phase of ['queued', 'configuring', 'building', 'starting', 'running']) {
  test(`after a kill while ${phase}, the next orchestrator brings the app to running with one switch`, async (t) => {
    const home = await killIn(t, phase)
    await letInstall(home.packages, 'app')
    await home.orchestrator()
    await home.until('app', 'running')
    assert.deepEqual(await home.transitionsOf('app'), LIFE, 'each phase once')
    const runs = await readdir(join(home.dataDir, 'host/runs'))
    assert.equal(runs.length, 1, `one switch was started: ${runs}`)
    const { rows } = await home.sql.query('select state from bloud.operations')
    assert.deepEqual(rows, [{ state: 'succeeded' }])
    assert.deepEqual((await home.processes('switch')).length, 0)
  })
}

test('the lease of a killed orchestrator is taken at once by the next one of the same data folder', async (t) => {
  const home = await makeHome(t)
  const first = await home.orchestrator()
  const standby = startProcess(process.execPath, [join(ROOT, 'src/main/orchestrator.ts')], {
    env: settings({
      DATABASE_URL: home.database.urlFor('bloud_orchestrator'),
      BLOUD_DATA_DIR: home.dataDir,
      BLOUD_CATALOG_DIR: join(home.dataDir, 'catalog'),
    }),
  })
  t.after(() => standby.end('SIGTERM'))
  await standby.waitFor(/another worker holds the lease/)
  await home.sql.query(`
    create table public.taken (early boolean);
    create function public.note() returns trigger language plpgsql security definer as
      $$ begin insert into public.taken values (old.lease_until > clock_timestamp()); return new; end $$;
    create trigger note before update of attempt on bloud.lease for each row execute function public.note()`)
  await first.end('SIGKILL')
  // The longest time that a worker may ask for, as if the first had just asked for it.
  await home.sql.query("update bloud.lease set lease_until = now() + interval '59 seconds'")
  await standby.waitFor(/catalog is up to date/)
  assert.deepEqual((await home.sql.query('select early from public.taken')).rows, [{ early: true }])
})

test('a new orchestrator checks the health of each app at once, even with an interval of an hour', async (t) => {
  const home = await makeHome(t)
  const healthCheck = { path: '/health', interval: 3600, timeout: 60 }
  const port = await home.addApp('app', 'switchable', { healthCheck })
  const first = await home.orchestrator()
  await home.sql.query("select bloud.install('app')")
  await home.until('app', 'running')
  await first.end('SIGKILL')
  await fetch(`http://127.0.0.1:${port}/unhealthy`, { method: 'POST' })
  const second = await home.orchestrator()
  await home.until('app', 'error')
  await second.end('SIGKILL')
  await fetch(`http://127.0.0.1:${port}/healthy`, { method: 'POST' })
  await home.orchestrator()
  await home.until('app', 'running')
})

test('a health probe whose result meets a lock of the app is repeated at once', async (t) => {
  const home = await makeHome(t)
  const healthCheck = { path: '/health', interval: 3600, timeout: 60 }
  await home.addApp('app', 'healthy', { healthCheck })
  const first = await home.orchestrator()
  await home.sql.query("select bloud.install('app')")
  await home.until('app', 'running')
  await first.end('SIGKILL')
  await home.expireLease()
  await home.sql.query("update bloud.apps set status = 'error'")
  const holder = await session(home.database.url)
  await holder.query("begin; select bloud.try_lock_app('app')")
  await home.orchestrator()
  await home.untilTrue(
    `select exists (select from pg_stat_activity where usename = 'bloud_orchestrator' and state = 'idle'
      and query like '%bloud.report_health(%')`,
  )
  await holder.query('commit')
  await holder.end()
  await home.until('app', 'running')
})
