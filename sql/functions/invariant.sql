-- Functions that check conditions which must hold after every commit. Each part of a query returns the
-- violations of one condition.
--
--   check_state()        conditions of the tables as they are now; fast, whatever the age of the history
--   check_events()       conditions of a range of events
--   check_invariants()   everything; reads all events, so it takes seconds for a million of them
--
-- The orchestrator (worker process) checks the state and the new events every few minutes, and all events
-- once a day in short ranges. It stores the result with record_check() in bloud.invariant_check.
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.last_events() returns table (app text, seq bigint, to_status text)
language sql stable as $$
  -- Reads one index entry per app instead of all events.
  with recursive names as (
    select min(e.app) as app from bloud.events e
    union all
    select (select min(e.app) from bloud.events e where e.app > n.app) from names n where n.app is not null)
  select n.app, l.seq, l.to_status
  from names n cross join lateral (
    select e.seq, e.to_status from bloud.events e where e.app = n.app order by e.seq desc limit 1) l
$$;
comment on function bloud.last_events() is
  'Returns the number and the status of the newest event of each app, also of deleted apps.';

create or replace function bloud.check_events(p_after bigint, p_to bigint)
returns table (invariant text, app text, detail text)
language sql stable as $$
  with chain as (
    select e.app, e.seq, e.from_status, e.to_status, p.seq as before_seq, p.to_status as before
    from bloud.events e
    left join lateral (
      select b.seq, b.to_status from bloud.events b
      where b.app = e.app and b.seq < e.seq order by b.seq desc limit 1) p on true
    where e.seq > p_after and e.seq <= p_to)
  select 'every transition is legal', c.app, format('event %s: %s to %s', c.seq, c.from_status, c.to_status)
  from chain c
  where not exists (select from bloud.status_transitions t
    where t.from_status is not distinct from c.from_status and t.to_status is not distinct from c.to_status)
  union all
  select 'each event begins with the status that the last one ended with', c.app,
    format('event %s begins at %s, not at %s', c.seq, c.from_status, c.before)
  from chain c cross join bloud.stream s
  where c.from_status is distinct from c.before and coalesce(c.before_seq, 0) >= s.pruned_to
    and (c.before_seq is not null or c.seq > s.pruned_to) and not (c.before_seq is null and s.pruned_to > 0)
$$;
comment on function bloud.check_events(bigint, bigint) is
  'Returns one row for each violation of a condition by the events with numbers above p_after, up to p_to.';

create or replace function bloud.check_state() returns table (invariant text, app text, detail text)
language sql stable as $$
  select 'status equals the last event', coalesce(a.name, l.app),
    format('row: %s, event: %s', a.status, l.to_status)
  from bloud.apps a full join bloud.last_events() l on l.app = a.name
  where a.status is distinct from l.to_status
  union all
  select 'no event has a number above the sequence', e.app, e.seq::text
  from bloud.events e, bloud.events_seq q where e.seq > q.last_value
  union all
  select 'at most one rebuild is active', null, string_agg(r.id::text, ', ')
  from bloud.rebuilds r where r.state = 'active' having count(*) > 1
  union all
  select 'an active rebuild belongs to the lease', null,
    format('rebuild %s has attempt %s, the lease %s', r.id, r.attempt, l.attempt)
  from bloud.rebuilds r cross join bloud.lease l
  -- After a restore the lease has no worker until the next one acquires it.
  where r.state = 'active' and (r.attempt <> l.attempt or r.worker <> l.worker)
  union all
  select 'an active rebuild includes operations', null, format('rebuild %s', r.id) from bloud.rebuilds r
  where r.state = 'active'
    and not exists (select from bloud.operations o where o.rebuild_id = r.id and o.state = 'active')
  union all
  select 'an active operation has an active or waiting rebuild, or a starting app', o.app,
    format('operation %s', o.id)
  from bloud.operations o
  join bloud.rebuilds r on r.id = o.rebuild_id
  left join bloud.apps a on a.operation_id = o.id
  where o.state = 'active' and r.state not in ('active', 'waiting') and a.status is distinct from 'starting'
  union all
  select 'an open operation is the current one of its app', o.app, format('operation %s', o.id)
  from bloud.operations o
  where o.state in ('queued', 'active') and o.app is not null
    and not exists (select from bloud.apps a where a.operation_id = o.id)
  union all
  select 'status and operation agree', a.name, format('%s with a %s that is %s', a.status, o.kind, o.state)
  from bloud.apps a left join bloud.operations o on o.id = a.operation_id
  where (a.status = 'queued' and (o.kind, o.state) is distinct from ('install', 'queued'))
     or (a.status in ('configuring', 'building', 'starting')
         and (o.kind, o.state) is distinct from ('install', 'active'))
     or (a.status = 'stopping'
         and (o.kind is distinct from 'uninstall' or o.state not in ('queued', 'active')))
     or (a.status in ('running', 'error', 'failed') and o.state in ('queued', 'active'))
     or (a.status = 'stopped' and o.state in ('queued', 'active') and not o.purge)
  union all
  select 'wanted agrees with the status', a.name, format('%s, wanted: %s', a.status, a.wanted)
  from bloud.apps a
  where (a.status in ('configuring', 'building', 'starting', 'running', 'error') and not a.wanted)
     or (a.status in ('failed', 'stopping', 'stopped') and a.wanted)
  union all
  select 'a failure has a cause', a.name, a.status from bloud.apps a
  where a.status in ('failed', 'error') and a.cause is null
  union all
  select 'a phase has a deadline', a.name, a.status from bloud.apps a
  where a.status in ('queued', 'configuring', 'building', 'starting', 'stopping') and a.deadline is null
$$;
comment on function bloud.check_state() is
  'Returns one row for each violation of a condition by the tables as they are now.';

create or replace function bloud.check_invariants() returns table (invariant text, app text, detail text)
language sql stable as $$
  select * from bloud.check_state()
  union all
  select * from bloud.check_events(0, (select max(e.seq) from bloud.events e))
$$;
comment on function bloud.check_invariants() is
  'Returns one row for each violation of a condition that must hold after every commit. Reads all events: '
  'bloud.invariant_check has the result of the last regular check.';

create or replace function bloud.record_check(
  p_attempt bigint, p_checked_to bigint, p_violations jsonb, p_whole boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.assert_attempt(p_attempt);
  perform set_config('synchronous_commit', 'off', true); -- after a crash, the check is repeated
  update bloud.invariant_check set checked_at = bloud.clock(), checked_to = p_checked_to,
    violations = p_violations, whole_at = case when p_whole then bloud.clock() else whole_at end;
end
$$;
comment on function bloud.record_check(bigint, bigint, jsonb, boolean) is
  'Stores the result of a check of the state and of the events up to p_checked_to: a list of {invariant, '
  'app, detail}. p_whole is true if all events were checked since the last such result.';
