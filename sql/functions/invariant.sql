-- Function check_invariants(), which checks conditions that must hold after every commit. Each part of the
-- query returns the violations of one condition.

create or replace function bloud.check_invariants() returns table (invariant text, app text, detail text)
language sql stable as $$
  with last as (select distinct on (e.app) e.app, e.to_status from bloud.events e order by e.app, e.seq desc),
  chain as (
    select e.app, e.seq, e.from_status, e.to_status, lag(e.to_status) over w as before,
      lag(e.seq) over w as before_seq
    from bloud.events e window w as (partition by e.app order by e.seq))
  select 'status equals the last event', coalesce(a.name, l.app),
    format('row: %s, event: %s', a.status, l.to_status)
  from bloud.apps a full join last l on l.app = a.name where a.status is distinct from l.to_status
  union all
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
comment on function bloud.check_invariants() is
  'Returns one row for each violation of a condition that must hold after every commit.';
