/** Tests that a standby replaces an orchestrator that hangs, and that the replaced one does no more work. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { startProcess, type TestProcess } from '../support/agent.ts'
import { type Home, makeHome } from '../support/home.ts'
import { settings } from '../support/npmstart.ts'
import { value } from '../support/sql.ts'

function startStandby(t: TestContext, home: Home): TestProcess {
  const standby = startProcess(process.execPath, [join(ROOT, 'src/main/orchestrator.ts')], {
    env: settings({
      DATABASE_URL: home.database.urlFor('bloud_orchestrator'),
      BLOUD_DATA_DIR: home.dataDir,
      BLOUD_CATALOG_DIR: join(home.dataDir, 'catalog'),
    }),
  })
  t.after(() => standby.end('SIGTERM'))
  return standby
}

const RECORDED = ['apps', 'catalog_cache', 'events', 'invariant_check', 'operations', 'rebuilds']

/** Records in public.takeovers each change of the holder, and in public.writes the writes of each session. */
async function record(home: Home): Promise<void> {
  const triggers = RECORDED.map(
    (table) => `create trigger record after insert or update or delete on bloud.${table}
      for each statement execute function public.record_write();`,
  )
  await home.sql.query(`
    create table public.takeovers (early boolean);
    create function public.record_takeover() returns trigger language plpgsql security definer as
      $$ begin insert into public.takeovers values (old.lease_until > clock_timestamp()); return new; end $$;
    create trigger record before update of attempt on bloud.lease
      for each row execute function public.record_takeover();
    create table public.writes (session text, "table" text);
    create function public.record_write() returns trigger language plpgsql security definer as $$
      begin
        insert into public.writes values (current_setting('application_name'), tg_table_name);
        return null;
      end $$;
    ${triggers.join('\n')}`)
}

const writersOf = async (home: Home): Promise<string[]> =>
  (await home.sql.query('select distinct session from public.writes')).rows.map(({ session }) => session)

test('an orchestrator that hangs and has no session is replaced before its lease ends, and then writes nothing', async (t) => {
  const home = await makeHome(t)
  await home.addApp('app')
  const first = await home.orchestrator()
  const standby = startStandby(t, home)
  await standby.waitFor(/another worker holds the lease/)
  await record(home)
  const worker = await value<string>(home.sql, 'select worker from bloud.lease')
  const sessions = `bloud-orchestrator-${worker}`
  first.child.kill('SIGSTOP')
  try {
    // The longest time that a worker may request, as if the first had just requested it.
    await home.sql.query("update bloud.lease set lease_until = now() + interval '59 seconds'")
    await home.sql.query(
      'select pg_terminate_backend(a.pid) from pg_stat_activity a where a.application_name = $1',
      [sessions],
    )
    await home.sql.query("select bloud.install('app')")
    await home.until('app', 'running')
  } finally {
    first.child.kill('SIGCONT') // a stopped process does not end
  }
  const { rows } = await home.sql.query('select early from public.takeovers')
  assert.deepEqual(rows, [{ early: true }])
  await first.waitFor(/the lease was taken by another worker/)
  await first.waitFor(/standing by: another worker holds the lease/)
  await home.sql.query("select bloud.uninstall('app')")
  await home.until('app', 'stopped')
  const writers = await writersOf(home)
  assert.ok(!writers.includes(sessions), 'the first one writes nothing')
  assert.ok(
    writers.some((writer) => writer.startsWith('bloud-orchestrator-')),
    'the other one does',
  )
})
