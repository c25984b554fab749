-- Comments on the columns of views. psql prints them with \d+.

-- Gives each column of a view the comment of the table column with the same name.
do $$
declare
  v_column record;
begin
  for v_column in
    select v.name as view, a.attname as name, d.description
    from (values
      ('queue', 'operations', 1),
      ('active', 'operations', 1), ('active', 'rebuilds', 2), ('active', 'apps', 3),
      ('history', 'events', 1),
      ('app_status', 'apps', 1), ('app_status', 'operations', 2),
      ('catalog', 'catalog_cache', 1), ('catalog', 'apps', 2),
      ('desired_apps', 'apps', 1), ('desired_apps', 'catalog_cache', 2),
      ('probed_apps', 'apps', 1), ('probed_apps', 'catalog_cache', 2)) as v (name, source, nth)
    join pg_catalog.pg_attribute a on a.attrelid = ('bloud.' || v.name)::regclass and a.attnum > 0
    join pg_catalog.pg_attribute t on t.attrelid = ('bloud.' || v.source)::regclass and t.attname = a.attname
    join pg_catalog.pg_description d on d.objoid = t.attrelid and d.objsubid = t.attnum
      and d.classoid = 'pg_catalog.pg_class'::regclass
    order by v.nth desc -- the last comment stays, so nth = 1 has precedence
  loop
    execute format('comment on column bloud.%I.%I is %L', v_column.view, v_column.name, v_column.description);
  end loop;
end
$$;

comment on column bloud.queue.position is 'Position in the queue. The next operation has position 1.';
comment on column bloud.queue.operation_id is 'Id of the queued operation.';
comment on column bloud.queue.waiting is 'Time since the request, in whole seconds.';

comment on column bloud.active.operation_id is 'Id of the open (queued or active) operation.';
comment on column bloud.active.elapsed is 'Time since the last change of the app''s status.';

comment on column bloud.history.duration is
  'Time that the app stayed in to_status. Null if the app still has this status.';
comment on column bloud.history.class is
  'Class of the failure, for example build or health. Null for other changes.';
comment on column bloud.history.message is 'Reason for the failure in one sentence. Null for other changes.';

comment on column bloud.app_status.elapsed is 'Time since the last change of the app''s status.';
comment on column bloud.app_status.usual is
  'Median and 90th percentile of the time that apps stay in this status: {p50_seconds, p90_seconds, samples, '
  'of}, or null.';
comment on column bloud.app_status.step_seconds is
  'Seconds that the app spent in each earlier status of the newest operation: {status: seconds}.';
comment on column bloud.app_status.operation_kind is
  'Kind of the app''s newest operation: install or uninstall.';
comment on column bloud.app_status.operation_state is
  'State of the app''s newest operation: queued, active, succeeded, failed, cancelled or superseded.';
comment on column bloud.app_status.queue_position is
  'Position of the app in the queue (view bloud.queue), or null.';
comment on column bloud.app_status.required_by is
  'Names of the installed apps that can''t work without this app.';
comment on column bloud.app_status.protocol is
  'Protocol on the port of the app: http, or tcp if a browser can''t open the app.';
comment on column bloud.app_status.restarts is
  'Restarts after a crash in the last hour: {count, exit_code, last_at}, or null without one.';
comment on column bloud.app_status.controls is
  'Actions (install, retry …) with whether each is allowed now: {action: {allowed, code, reason}}.';

comment on column bloud.probed_apps.seconds_left is
  'Seconds until the time limit of the present status. Null without a limit.';
comment on column bloud.probed_apps.status_seconds is 'Seconds since the last change of the app''s status.';

comment on column bloud.catalog.status is 'Status of the app. Null if bloud.apps has no row of the app.';
