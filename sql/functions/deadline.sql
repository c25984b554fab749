-- Functions that correct stored deadlines after the clock of the database was set.
--
--   the clock was    without a correction                     function
--   ahead            work is delayed by the whole difference  correct_deadlines(): no deadline is later than
--                                                             its own period from now
--   behind           open operations fail at once             move_deadlines(): each deadline moves as far as
--                                                             the clock
--
--   status of the app                   period
--   configuring, building, stopping     that of the rebuild: from its start to its deadline
--   starting                            the timeout of the health check
--   queued, stopping in the queue       a day

create or replace function bloud.late_deadlines() returns table (app_id bigint, deadline timestamptz)
language sql stable as $$
  select a.id, bloud.clock() + p.period
  from bloud.apps a left join bloud.catalog_cache c on c.name = a.name
  cross join lateral (select case when a.status = 'starting'
    then make_interval(secs => (c.entry #>> '{healthCheck,timeout}')::double precision)
    else interval '1 day' end as period) p
  where a.status in ('queued', 'starting', 'stopping') and a.deadline > bloud.clock() + p.period
$$;
comment on function bloud.late_deadlines() is
  'Returns the apps whose deadline is later than its own period from now, with the deadline that they should '
  'have.';

create or replace function bloud.correct_deadlines() returns void
language plpgsql as $$
begin
  update bloud.rebuilds r set started_at = bloud.clock(),
    deadline = bloud.clock() + (r.deadline - r.started_at)
  where r.state in ('active', 'waiting') and r.started_at > bloud.clock();
  update bloud.apps a set deadline = r.deadline
  from bloud.operations o join bloud.rebuilds r on r.id = o.rebuild_id
  where o.id = a.operation_id and o.state = 'active' and r.state in ('active', 'waiting')
    and a.status in ('configuring', 'building', 'stopping') and a.deadline > r.deadline;
  update bloud.apps a set deadline = d.deadline from bloud.late_deadlines() d where a.id = d.app_id;
end
$$;
comment on function bloud.correct_deadlines() is
  'Limits the deadlines of rebuilds and apps to their own period from now. They are later only if the clock '
  'was ahead when they were stored.';

create or replace function bloud.move_deadlines(p_attempt bigint, p_by interval) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.assert_attempt(p_attempt);
  -- The start moves too, because the period of a rebuild is the time from its start to its deadline.
  update bloud.rebuilds r set started_at = r.started_at + p_by, deadline = r.deadline + p_by
  where r.state in ('active', 'waiting');
  -- An app that another transaction has locked is skipped, so that the other apps need not wait.
  update bloud.apps a set deadline = a.deadline + p_by
  where a.id in (select q.id from bloud.apps q where q.deadline is not null for update skip locked);
  perform bloud.correct_deadlines();
end
$$;
comment on function bloud.move_deadlines(bigint, interval) is
  'Moves the deadlines of open rebuilds and of apps after the clock was set forward by p_by. A repeated call '
  'does no harm, because no deadline is later than its own period from now.';
