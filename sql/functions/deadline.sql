-- Function correct_deadlines(), which limits every stored deadline to its own period. A clock that was ahead
-- and is right again would otherwise delay work by the whole difference.
--
--   status of the app                   period
--   configuring, building, stopping     that of the rebuild: from its start to its deadline
--   starting                            the timeout of the health check
--   queued, stopping in the queue       a day

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
  update bloud.apps a set deadline = bloud.clock() + p.period
  from (
    select q.id, case when q.status = 'starting'
      then make_interval(secs => (c.entry #>> '{healthCheck,timeout}')::double precision)
      else interval '1 day' end as period
    from bloud.apps q left join bloud.catalog_cache c on c.name = q.name
    where q.status in ('queued', 'starting', 'stopping')) p
  where a.id = p.id and a.deadline > bloud.clock() + p.period;
end
$$;
comment on function bloud.correct_deadlines() is
  'Limits the deadlines of rebuilds and apps to their own period from now. They are later only if the clock '
  'was ahead when they were stored.';
