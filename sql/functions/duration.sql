-- Functions for durations: the usual duration of a phase, and the duration of each phase of one operation. A
-- phase is a status that ends by itself: queued, configuring, building, starting or stopping. Both functions
-- read the column lasted of bloud.events, the time that an app spent in from_status.
-- Errors raised: none.

create or replace function bloud.usual_duration(p_app text, p_status text) returns jsonb
language sql stable as $$
  with samples as (
    select s.of, s.seconds from (values ('this app'), ('all apps')) as w (of)
    cross join lateral (
      select w.of, extract(epoch from e.lasted)::double precision as seconds from bloud.events e
      -- Repeats the condition of the partial index events_by_transition, so that the planner uses the index.
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
  'Returns the median and the 90th percentile, in seconds, of the last 50 durations of a status. Durations '
  'of all apps are used if the app itself has fewer than five. Returns null below five in total.';

create or replace function bloud.step_durations(p_app text, p_operation bigint) returns jsonb
language sql stable as $$
  -- Reads only the last 20 events of the app, because an install has five events.
  select coalesce(jsonb_object_agg(e.from_status, round(extract(epoch from e.lasted), 1)), '{}')
  from (select * from bloud.events l where l.app = p_app order by l.seq desc limit 20) e
  where e.operation_id = p_operation and e.from_status in ('queued', 'configuring', 'building', 'starting')
$$;
comment on function bloud.step_durations(text, bigint) is
  'Returns the seconds that an app spent in each finished status of an operation: {status: seconds}.';
