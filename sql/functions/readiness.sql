-- Functions that return the reasons why the agent is not ready, each in one sentence.
--
-- The HTTP server (/readyz, /metrics), the web page and why() show the rows of readiness(). A new reason is a
-- further part of the query in readiness(), or a problem that a worker (orchestrator process) reports with
-- report_worker().
-- Errors raised: none.

create or replace function bloud.report_worker(p_worker text, p_clock timestamptz, p_problems jsonb)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('synchronous_commit', 'off', true); -- the next report replaces one that a crash loses
  delete from bloud.workers w where w.worker <> p_worker
    and w.reported_at not between bloud.clock() - interval '3 minutes'
      and bloud.clock() + interval '3 minutes';
  insert into bloud.workers (worker, reported_at, clock_ahead, problems)
  values (p_worker, bloud.clock(), p_clock - bloud.clock(), p_problems)
  on conflict (worker) do update set reported_at = excluded.reported_at, clock_ahead = excluded.clock_ahead,
    problems = excluded.problems;
end
$$;
comment on function bloud.report_worker(text, timestamptz, jsonb) is
  'Records that a worker (orchestrator process) is connected, with the time of its clock and the reasons why '
  'it can''t do its work: [{cause, sentence, hint}]. A worker calls it when the reasons change, and every '
  '25 s.';

create or replace function bloud.blocking_sessions()
returns table (pid integer, role text, application text, waiting bigint, since timestamptz)
language sql stable as $$
  with waits as (
    -- Only sessions that use a table of the schema, because other programs may use the same database.
    select distinct on (l.pid) l.pid, l.waitstart from pg_locks l
    where not l.granted and l.waitstart < clock_timestamp() - interval '1 second' and exists (
      select from pg_locks r join pg_class c on c.oid = r.relation
      where r.pid = l.pid and r.locktype = 'relation' and c.relnamespace = 'bloud'::regnamespace
        and r.database = (select d.oid from pg_database d where d.datname = current_database())))
  select b.pid, a.usename::text, a.application_name, count(*), min(w.waitstart)
  from waits w cross join lateral unnest(pg_blocking_pids(w.pid)) as b (pid)
  left join pg_stat_activity a on a.pid = b.pid
  where not exists (select from pg_locks l where l.pid = b.pid and not l.granted)
  group by b.pid, a.usename, a.application_name order by min(w.waitstart), b.pid
$$;
comment on function bloud.blocking_sessions() is
  'Returns each session that holds a lock for which another session has waited for more than a second, with '
  'the number of the waiting sessions and the start of the longest wait.';

create or replace function bloud.readiness()
returns table (cause text, sentence text, hint text, since timestamptz)
language sql stable as $$
  select 'read_only', format('The database accepts no changes, because %s.',
      case when pg_is_in_recovery() then 'it is a standby server' else 'it is set to read-only' end),
    case when pg_is_in_recovery() then 'Promote it, or set DATABASE_URL to the primary server.'
      else 'Reset default_transaction_read_only of the server, the database and the role.' end,
    null::timestamptz
  -- A session can change its own setting, so the value at its start counts.
  where pg_is_in_recovery() or exists (select from pg_settings s
    where s.name = 'default_transaction_read_only' and s.reset_val = 'on')
  union all
  -- A worker reports every 25 s (src/orchestrator/workerreport.ts), so 75 s are three missed reports.
  select 'no_worker', case when not bloud.is_led()
      then 'No orchestrator holds the lease, so no operation is carried out.'
      when not bloud.is_connected(l.worker)
      then format('The orchestrator %s holds the lease, but is not connected.', l.worker)
      else format('The orchestrator %s holds the lease, but reports nothing.', l.worker) end,
    'Start the orchestrator: npm start, or the unit that runs it.', least(l.lease_until, w.reported_at)
  from bloud.lease l left join bloud.workers w on w.worker = l.worker
  where (not bloud.is_led() or not bloud.is_connected(l.worker) or w.reported_at is null
    or w.reported_at not between bloud.clock() - interval '75 s' and bloud.clock() + interval '75 s')
    -- An orchestrator whose host can't start takes no lease, and its report has the reason.
    and (bloud.is_led() or not exists (select from bloud.workers h
      where h.problems @> '[{"cause": "host"}]' and bloud.is_connected(h.worker)))
  union all
  select 'other_folder', r.message || '.', r.hint, null from bloud.pairing_refusal() r
  where r.sqlstate is not null
  union all
  select p.cause, p.sentence, p.hint, null
  from bloud.workers w
  cross join lateral jsonb_to_recordset(w.problems) as p (cause text, sentence text, hint text)
  where bloud.is_connected(w.worker)
  union all
  select 'clocks_disagree', format('The clock of the orchestrator %s is %s s %s the clock of the database.',
      w.worker, abs(round(extract(epoch from w.clock_ahead))),
      case when w.clock_ahead > interval '0' then 'ahead of' else 'behind' end),
    'Set the clocks of both machines, for example with NTP.', w.reported_at
  from bloud.workers w
  where bloud.is_connected(w.worker)
    and w.clock_ahead not between interval '-30 seconds' and interval '30 seconds'
  union all
  select 'clocks_disagree', format('The clock of the database is %s s behind the newest event.',
      round(extract(epoch from e.at - bloud.clock()))),
    'Set the clock of the database server, for example with NTP.', null
  from (select n.at from bloud.events n order by n.seq desc limit 1) e
  where e.at > bloud.clock() + interval '30 seconds'
  union all
  select 'locked', format(
      'The session %s (role %s, application %s) blocks %s.', b.pid, coalesce(b.role, 'unknown'),
      coalesce(nullif(b.application, ''), 'unknown'),
      case b.waiting when 1 then 'another session' else b.waiting || ' other sessions' end),
    format('End its transaction, or the session: select pg_terminate_backend(%s);', b.pid), b.since
  from bloud.blocking_sessions() b
$$;
comment on function bloud.readiness() is
  'Returns the reasons why the agent is not ready, one row each: code, sentence, what to do, and time since '
  'when. Returns no row if the agent is ready.';
