-- Views for operators and for the processes of the agent. Every deployment drops and creates the views,
-- because `create or replace view` can't drop a column.

drop view if exists bloud.app_status, bloud.catalog, bloud.queue, bloud.active, bloud.history,
  bloud.desired_apps, bloud.probed_apps;

create view bloud.queue as
select row_number() over (order by o.id) as position, o.app, o.kind, o.id as operation_id,
  o.requested_by, o.origin, o.requested_at,
  date_trunc('second', greatest(bloud.clock() - o.requested_at, '0')) as waiting
from bloud.operations o where o.state = 'queued' and o.kind in ('install', 'uninstall');
comment on view bloud.queue is
  'Installs and uninstalls that wait for the next rebuild, in the order of their requests.';

create view bloud.active as
select o.id as operation_id, o.app, o.kind, a.status, a.status_since,
  date_trunc('second', greatest(bloud.clock() - a.status_since, '0')) as elapsed,
  o.rebuild_id, r.worker, r.attempt, r.run, r.deadline, o.cancel_requested_at, o.requested_by, o.origin
from bloud.operations o
left join bloud.apps a on a.operation_id = o.id
left join bloud.rebuilds r on r.id = o.rebuild_id
where o.state in ('queued', 'active') order by o.id;
comment on view bloud.active is 'Every open (queued or active) operation, with its rebuild if it has one.';

create view bloud.history as
select e.seq, e.at, e.app, e.from_status, e.to_status,
  -- A subquery, because a window function would read all events even for the newest few.
  (select date_trunc('milliseconds', greatest(n.at - e.at, '0')) from bloud.events n
    where n.app = e.app and n.seq > e.seq order by n.seq limit 1) as duration,
  e.operation_id, e.actor, e.origin, e.cause ->> 'class' as class, e.cause ->> 'message' as message
from bloud.events e order by e.seq desc;
comment on view bloud.history is 'Every change of an app''s status, newest first.';

create view bloud.app_status as
-- The apps in a slot of another app. No app requires the others, so required_by() is not called for them.
with chosen as (
  select n.name, bloud.required_by(n.name) as required_by
  from (select distinct n.name from bloud.apps a cross join lateral jsonb_each(a.integration_config) s
    cross join lateral jsonb_array_elements_text(s.value) as n (name)) n)
select a.id, a.name, a.display_name, a.version, a.status, a.port, a.is_system, a.integration_config,
  a.installed_at, a.updated_at, a.status_since,
  date_trunc('second', greatest(bloud.clock() - a.status_since, '0')) as elapsed, a.wanted, a.operation_id,
  -- usual_duration() is slow, so it is not called for a status that does not end by itself, such as running.
  case when a.status in ('queued', 'configuring', 'building', 'starting', 'stopping')
    then bloud.usual_duration(a.name, a.status) end as usual,
  -- Most apps have none.
  case when exists (select from bloud.events r where r.app = a.name and r.from_status = r.to_status
      and r.at > bloud.clock() - interval '1 hour')
    then bloud.recent_restarts(a.name) end as restarts,
  bloud.step_durations(a.name, a.operation_id) as step_seconds, o.kind as operation_kind,
  o.state as operation_state, o.cancel_requested_at, a.cause, coalesce(o.warnings, '[]') as warnings,
  a.deadline, q.position as queue_position, coalesce(n.required_by, '{}') as required_by,
  coalesce(c.entry #>> '{healthCheck,kind}', 'http') as protocol,
  bloud.controls_of(a, p, coalesce(n.required_by, '{}')) as controls
from bloud.apps a
left join chosen n on n.name = a.name
left join bloud.catalog_cache c on c.name = a.name
left join bloud.operations o on o.id = a.operation_id
left join bloud.operations p on p.app = a.name and p.state in ('queued', 'active')
left join bloud.queue q on q.operation_id = o.id;
comment on view bloud.app_status is
  'Each app with its status, the reason for a failure, the position in the queue and the allowed actions.';

create view bloud.catalog as
select c.name, c.display_name, c.description, c.category, c.version, c.port, c.is_system, c.unavailable,
  a.status
from bloud.catalog_cache c left join bloud.apps a on a.name = c.name order by c.name;
comment on view bloud.catalog is
  'All apps of the catalog, including apps that can''t be installed on this machine.';

create view bloud.desired_apps as
select a.name, a.version, a.port, a.status, a.integration_config, c.entry
from bloud.apps a join bloud.catalog_cache c on c.name = a.name
where a.wanted and not exists (
  select from bloud.operations o join bloud.rebuilds r on r.id = o.rebuild_id
  where o.id = a.operation_id and o.kind = 'install' and o.state = 'active' and r.state = 'waiting')
order by a.name;
comment on view bloud.desired_apps is 'Apps that the machine will have after the active rebuild.';

create view bloud.probed_apps as
select a.name, a.port, a.status, a.deadline,
  extract(epoch from a.deadline - bloud.clock())::double precision as seconds_left,
  extract(epoch from bloud.clock() - a.status_since)::double precision as status_seconds,
  a.integration_config, c.entry
from bloud.apps a join bloud.catalog_cache c on c.name = a.name
where a.status in ('starting', 'running', 'error') and a.wanted order by a.name;
comment on view bloud.probed_apps is 'Apps whose health the orchestrator (worker process) checks.';
