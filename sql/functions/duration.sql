-- Functions that return how long apps usually stay in a status, and how long each status of one operation
-- lasted. Only statuses that end by themselves count: queued, configuring, building, starting and stopping.
-- The durations are in the column lasted of bloud.events.

create or replace function bloud.usual_duration(p_app text, p_status text) returns jsonb
language sql stable as $$
  with samples as (
    select s.of, s.seconds from (values ('this app'), ('all apps')) as w (of)
    cross join lateral (
      select w.of, extract(epoch from e.lasted)::double precision as seconds from bloud.events e
      -- The planner uses the partial index events_by_transition only if the query repeats the index
      -- condition.
      where e.from_status in ('queued', 'configuring', 'building', 'starting', 'stopping')
        and e.from_status = p_status and e.to_status = case p_status when 'queued' then 'configuring'
          when 'configuring' then 'building' when 'building' then 'starting' when 'starting' then 'running'
          when 'stopping' then 'stopped' end
        and (w.of = 'all apps' or e.app = p_app)
      order by e.seq desc limit 50) s)
  select jsonb_build_object(
    'p50_seconds', round(percentile_cont(0.5) within group (order by seconds)::numeric, 1),
    'p90_seconds', round(percentile_cont(0.9) within group (order by seconds)::numeric, 1),
    'samples', count(*), 'of', s.of)
  from samples s group by s.of having count(*) >= 5 order by s.of desc limit 1
$$;
comment on function bloud.usual_duration(text, text) is
  'Returns the median and 90th percentile, in seconds, of the last 50 durations of a status, for this app '
  'or, with fewer than five, for all apps. Returns null if all apps together have fewer than five.';

create or replace function bloud.step_durations(p_app text, p_operation bigint) returns jsonb
language plpgsql stable as $$ -- which keeps the plan of the query
begin
  -- The last 20 events of the app are enough for the app's newest operation, because an install has five
  -- events.
  return (select coalesce(jsonb_object_agg(e.from_status, round(extract(epoch from e.lasted), 1)), '{}')
    from (select l.from_status, l.lasted, l.operation_id from bloud.events l where l.app = p_app
      order by l.seq desc limit 20) e
    where e.operation_id = p_operation
      and e.from_status in ('queued', 'configuring', 'building', 'starting'));
end
$$;
comment on function bloud.step_durations(text, bigint) is
  'Returns the seconds that an app spent in each earlier status of an operation: {status: seconds}.';
