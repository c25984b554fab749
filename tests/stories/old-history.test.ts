/** Tests of an old, long history, in which the check of the invariants takes longer than a query may. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'

/** More than the batches of two transactions of the orchestrator. */
const OLD_EVENTS = 12_000
/** Longer than the time limit of a query. The test waits for none of these queries. */
const CHECK_SECONDS = 600

/** Fills the history with a starting app whose health changed thousands of times, without the triggers. */
const FILL = `
  set session_replication_role = replica;
  insert into bloud.apps (name, display_name, version, status, wanted)
    values ('old', 'Old', '1', 'running', true);
  insert into bloud.events (seq, at, app, from_status, to_status, actor, origin, app_id, display_name, version,
      is_system, integration_config, updated_at)
    select n, now() - interval '200 days', 'old', case n % 2 when 0 then 'running' else 'error' end,
      case n % 2 when 0 then 'error' else 'running' end, 'test', 'agent', 1, 'Old', '1', false, '{}', now()
    from generate_series(1, ${OLD_EVENTS - 1}) n;
  select setval('bloud.events_seq', ${OLD_EVENTS - 1});
  set session_replication_role = origin`

const SLOW_CHECKS = ['check_state()', 'check_events(p_after bigint, p_to bigint)', 'check_invariants()']
  .map(
    (signature) => `create or replace function bloud.${signature}
      returns table (invariant text, app text, detail text) language plpgsql as $$
      begin perform pg_sleep(${CHECK_SECONDS}); end $$;`,
  )
  .join('\n')

const CHECKING = `select a.pid, a.query_start::text from pg_stat_activity a
  where a.datname = current_database() and a.usename = 'bloud_orchestrator' and a.wait_event = 'PgSleep'`

test('old history is pruned and the catalog is refreshed while a check of the invariants takes longer than its limit', async (t) => {
  const home = await makeHome(t)
  await home.addApp('one')
  await home.sql.query(FILL)
  await home.sql.query(SLOW_CHECKS)
  await home.orchestrator({ BLOUD_RETENTION_DAYS: '90' })
  await home.untilTrue(`select exists (${CHECKING})`)
  const { rows: first } = await home.sql.query(CHECKING)
  await home.addApp('two')
  const { rows } = await home.sql.query('select id from bloud.refresh_catalog()')
  await home.untilTrue("select state = 'succeeded' from bloud.operations where id = $1", [rows[0].id])
  await home.untilTrue("select exists (select from bloud.catalog where name = 'two')")
  await home.untilTrue('select count(*) = 1 from bloud.events')
  assert.deepEqual((await home.sql.query(CHECKING)).rows, first, 'the first check has not ended meanwhile')
  await home.sql.query(`select pg_terminate_backend(s.pid) from (${CHECKING}) s`) // the test need not wait
})
