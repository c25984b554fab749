-- Comments on tables, columns, types, indexes and triggers, which psql prints with \d+. Functions and views
-- have their comments next to their definitions. tests/sql/comments.test.ts requires a comment for every
-- object.

comment on schema bloud is
  'Tables, views and functions of the Bloud host agent. The view bloud.app_status is a good start.';

comment on domain bloud.app_name is
  'Name of an app: 1 to 63 characters from a-z, 0-9 and -, beginning with a letter.';
comment on domain bloud.tcp_port is 'TCP port, from 1 to 65535.';
comment on domain bloud.cause is
  'Recorded reason for a failure: a JSON object with at least the fields class and message.';
comment on domain bloud.choices is
  'Apps on which an app depends: {slot: [app]}. A slot is the purpose of a dependency, for example '
  '"database".';
comment on domain bloud.status is
  'Status of an app, for example running. bloud.status_transitions has the allowed changes of the status.';

comment on table bloud.apps is
  'One row per app that is installed, that waits for its install, or whose data was kept by an uninstall. A '
  'trigger checks and records every change of the status.';
comment on column bloud.apps.id is
  'Id of the app. If the app is deleted and installed again, it gets a new id.';
comment on column bloud.apps.name is
  'Name of the app in the catalog, for example node-red. The name never changes.';
comment on column bloud.apps.display_name is
  'Name that the web page shows. The function rename() changes this name.';
comment on column bloud.apps.version is
  'Version of the app, copied from the catalog when the install is requested. A rollback restores the older '
  'version.';
comment on column bloud.apps.status is
  'Status of the app, for example running. After a failure, the status is error if the machine still has the '
  'app, or else failed.';
comment on column bloud.apps.port is 'TCP port on which the app listens. Null if the app has no port.';
comment on column bloud.apps.is_system is
  'True for a system app, for example postgres, which can''t be uninstalled because other apps depend on it.';
comment on column bloud.apps.integration_config is
  'Apps on which this app depends, for example {"database": ["postgres"]}.';
comment on column bloud.apps.installed_at is
  'Time at which the app passed its health check for the first time, or null.';
comment on column bloud.apps.updated_at is 'Time of the last change of the status or display name.';
comment on column bloud.apps.status_since is 'Time of the last change of the status.';
comment on column bloud.apps.wanted is 'True if the next rebuild of the machine includes the app.';
comment on column bloud.apps.operation_id is 'Id of the newest install or uninstall of the app.';
comment on column bloud.apps.cause is
  'Reason for the status failed or error: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.apps.deadline is
  'Time limit for the next change of the status, after which the open operation fails. Null without a limit.';
comment on column bloud.apps.configured_at is
  'Time at which a rebuild included the app for the first time. Null if the app can''t have any data yet.';
comment on column bloud.apps.status_actor is 'PostgreSQL role that last changed the status.';
comment on column bloud.apps.status_origin is
  'Origin of the last change of the status: web (web page), api (HTTP API), agent (orchestrator) or psql '
  '(any other session).';

comment on table bloud.status_transitions is
  'Allowed changes of the status of an app, one per row. A trigger refuses all other changes with error '
  'BL003.';
comment on column bloud.status_transitions.from_status is
  'Status before the change. Null if the change inserts the app.';
comment on column bloud.status_transitions.to_status is
  'Status after the change. Null if the change deletes the app.';
comment on column bloud.status_transitions.meaning is 'Event that causes the change, in words.';

comment on table bloud.operations is
  'One row per operation (a requested install, uninstall, rename, refresh of the catalog or rollback).';
comment on column bloud.operations.id is 'Id of the operation. Later operations have greater ids.';
comment on column bloud.operations.app is
  'Name of the app. Null for refresh_catalog and rollback, which concern the whole machine.';
comment on column bloud.operations.kind is
  'Kind of operation: install, uninstall, rename, refresh_catalog or rollback.';
comment on column bloud.operations.state is
  'State of the operation: queued, active, succeeded, failed, cancelled, or superseded (an uninstall ended '
  'the queued install).';
comment on column bloud.operations.options is
  'Arguments of the operation: {choices} of an install, {display_name} of a rename, or {from, to} '
  '(generations) of a rollback.';
comment on column bloud.operations.purge is 'True for an uninstall that also deletes the data of the app.';
comment on column bloud.operations.previous_status is
  'Status of the app when an install or uninstall was requested. Null for a new app and for other kinds of '
  'operation.';
comment on column bloud.operations.requested_for is
  'Id of the install or rollback that added this operation. Null if an operator requested the operation.';
comment on column bloud.operations.requested_by is 'PostgreSQL role that requested the operation.';
comment on column bloud.operations.origin is
  'Origin of the request: web (web page), api (HTTP API), agent (orchestrator) or psql (any other session).';
comment on column bloud.operations.rebuild_id is
  'Id of the newest rebuild that includes the operation, or null.';
comment on column bloud.operations.cause is
  'Reason why the operation failed or was cancelled: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.operations.warnings is
  'Sentences for the operator, for example about a part of the app that could not be set up.';
comment on column bloud.operations.requested_at is 'Time at which the operation was requested.';
comment on column bloud.operations.started_at is
  'Time at which the first rebuild with this operation began, or null.';
comment on column bloud.operations.finished_at is 'Time at which the operation ended, or null.';
comment on column bloud.operations.cancel_requested_at is
  'Time at which the cancel of the active operation was requested, or null.';

comment on table bloud.rebuilds is
  'One row per rebuild. A rebuild changes the machine once for all queued operations. At most one rebuild is '
  'active.';
comment on column bloud.rebuilds.id is 'Id of the rebuild. Later rebuilds have greater ids.';
comment on column bloud.rebuilds.state is
  'State of the rebuild: active, succeeded, failed, or waiting for the end of another rebuild.';
comment on column bloud.rebuilds.phase is
  'Phase of the rebuild: configuring (files of the apps are written) or building (the switch command, for '
  'example `nixos-rebuild switch`, runs).';
comment on column bloud.rebuilds.attempt is
  'Attempt number (fencing token of the lease) of the worker that performs the rebuild.';
comment on column bloud.rebuilds.worker is
  'Name of the worker (orchestrator process) that performs the rebuild.';
comment on column bloud.rebuilds.lease_until is
  'Time at which the lease of the worker expires, unless the worker renews the lease.';
comment on column bloud.rebuilds.deadline is
  'Time limit of the rebuild. A switch command (`nixos-rebuild switch`) that still runs then is stopped.';
comment on column bloud.rebuilds.run is
  'Number of times that the switch command (`nixos-rebuild switch`) was started for this rebuild.';
comment on column bloud.rebuilds.log_offset is
  'Number of bytes of the switch command''s output that are already stored in bloud.rebuild_log.';
comment on column bloud.rebuilds.log_lines is
  'Number of lines of this rebuild that were stored in bloud.rebuild_log.';
comment on column bloud.rebuilds.generation_before is
  'Generation (complete configuration of the machine) that was active before the rebuild, or null.';
comment on column bloud.rebuilds.generation_after is
  'Generation (complete configuration of the machine) that was active after the rebuild, or null.';
comment on column bloud.rebuilds.exit_code is
  'Exit code of the switch command (`nixos-rebuild switch`), or null if not known.';
comment on column bloud.rebuilds.follows is
  'Id of the failed rebuild whose remaining operations this rebuild repeats, or null.';
comment on column bloud.rebuilds.rolls_back_to is
  'For a rollback, the generation (earlier configuration of the machine) to activate again. Otherwise null.';
comment on column bloud.rebuilds.desired is
  'Apps of the new configuration, {app: {version, port, integration_config}}. A later rollback reads this '
  'column.';
comment on column bloud.rebuilds.started_at is 'Time at which the rebuild became active.';
comment on column bloud.rebuilds.build_started_at is
  'Time at which the switch command (`nixos-rebuild switch`) was first started, or null.';
comment on column bloud.rebuilds.activated_at is
  'Time at which the machine began to activate the new configuration, or null. A later cancel is refused.';
comment on column bloud.rebuilds.finished_at is 'Time at which the rebuild ended, or null.';

comment on table bloud.rebuild_log is
  'Output of the switch command (`nixos-rebuild switch`) of each rebuild, one line per row.';
comment on column bloud.rebuild_log.rebuild_id is 'Id of the rebuild.';
comment on column bloud.rebuild_log.line_no is
  'Number of the line within the output of the rebuild, beginning with 1.';
comment on column bloud.rebuild_log.at is 'Time at which the line was stored in this table.';
comment on column bloud.rebuild_log.line is 'Text of the line, without the line break.';

comment on table bloud.events is
  'History of all apps: one row per change of a status, numbered in the order of the commits. Only prune() '
  'deletes rows.';
comment on column bloud.events.seq is
  'Event number. Events with greater numbers become visible later, so a query for "seq > last" misses no '
  'event.';
comment on column bloud.events.at is 'Time at which the transaction of the change was committed.';
comment on column bloud.events.app is 'Name of the app.';
comment on column bloud.events.from_status is 'Status before the change. Null if the app was inserted.';
comment on column bloud.events.to_status is 'Status after the change. Null if the app was deleted.';
comment on column bloud.events.operation_id is
  'Id of the newest install or uninstall of the app at that time.';
comment on column bloud.events.actor is 'PostgreSQL role that made the change.';
comment on column bloud.events.origin is
  'Origin of the change: web (web page), api (HTTP API), agent (orchestrator) or psql (any other session).';
comment on column bloud.events.cause is 'Reason for a change to failed or error, as a JSON object, or null.';
comment on column bloud.events.lasted is 'Time that the app had spent in from_status.';
comment on column bloud.events.app_id is
  'Id of the app. An app that is deleted and installed again gets a new id.';
comment on column bloud.events.display_name is 'Display name of the app after the change.';
comment on column bloud.events.version is 'Version of the app after the change.';
comment on column bloud.events.port is 'TCP port of the app after the change, or null.';
comment on column bloud.events.is_system is 'True for a system app, which can''t be uninstalled.';
comment on column bloud.events.integration_config is
  'Apps on which the app depends after the change, for example {"database": ["postgres"]}.';
comment on column bloud.events.installed_at is
  'Time at which the app passed its health check for the first time, or null.';
comment on column bloud.events.updated_at is
  'Time at which the status was changed, before the transaction was committed (column at).';

comment on table bloud.catalog_cache is
  'Apps that can be installed, one per row. The orchestrator (worker process) reads them from the catalog '
  'files.';
comment on column bloud.catalog_cache.name is 'Name of the app.';
comment on column bloud.catalog_cache.yaml_content is 'Text of the catalog file, which is a YAML file.';
comment on column bloud.catalog_cache.updated_at is 'Time at which the row was last changed.';
comment on column bloud.catalog_cache.entry is 'Content of the catalog file as JSON.';
comment on column bloud.catalog_cache.display_name is 'Name that the web page shows.';
comment on column bloud.catalog_cache.description is 'Purpose of the app in one sentence.';
comment on column bloud.catalog_cache.category is 'Category of the app, for example identity.';
comment on column bloud.catalog_cache.version is 'Version of the app that the next install uses.';
comment on column bloud.catalog_cache.port is 'TCP port on which the app listens, or null.';
comment on column bloud.catalog_cache.is_system is
  'True for a system app, for example postgres, which can''t be uninstalled because other apps depend on it.';
comment on column bloud.catalog_cache.unavailable is
  'Reason why the app can''t be installed on this machine, or null.';
comment on column bloud.catalog_cache.warnings is 'Sentences about probable mistakes in the catalog file.';

comment on table bloud.catalog_problems is 'Catalog files that can''t be used, each with the reason.';
comment on column bloud.catalog_problems.file is 'Name of the catalog file, without the folder.';
comment on column bloud.catalog_problems.line is 'Number of the line that causes the problem, or null.';
comment on column bloud.catalog_problems.reason is 'Description of the problem in one sentence.';
comment on column bloud.catalog_problems.found_at is
  'Time at which the orchestrator (worker process) found the problem.';

comment on table bloud.lease is
  'Lease: a lock with a time limit that lets only one worker (orchestrator process) change the machine.';
comment on column bloud.lease.singleton is
  'Primary key that is always true, so that the table has at most one row.';
comment on column bloud.lease.attempt is
  'Number of times that a worker has acquired the lease. Writes with an older attempt number are refused.';
comment on column bloud.lease.worker is
  'Name of the worker (orchestrator process) that holds or last held the lease.';
comment on column bloud.lease.lease_until is
  'Time at which the lease expires. Null after the worker has released the lease.';

comment on table bloud.deletions is
  'PostgreSQL role and origin of a deletion, kept until append_event() writes the event of the deletion at '
  'the commit.';
comment on column bloud.deletions.app_id is 'Id of the deleted app.';
comment on column bloud.deletions.actor is 'PostgreSQL role that deleted the app.';
comment on column bloud.deletions.origin is
  'Origin of the deletion: web (web page), api (HTTP API), agent (orchestrator) or psql (any other session).';

comment on table bloud.stream is 'State of the event history (bloud.events), in a single row.';
comment on column bloud.stream.singleton is
  'Primary key that is always true, so that the table has at most one row.';
comment on column bloud.stream.epoch is
  'Random id of the event history. After the restore of a backup the history gets a new id.';
comment on column bloud.stream.pruned_to is
  'Number (seq) of the newest event that prune() has deleted, or 0.';

comment on table bloud.migrations is
  'Migrations (files of sql/migrations) that were applied to this database. The rows are written by '
  'node-pg-migrate.';
comment on column bloud.migrations.id is 'Id of the migration.';
comment on column bloud.migrations.name is 'Name of the migration file without .sql.';
comment on column bloud.migrations.run_on is
  'Time at which the migration was applied, in the time zone of the session.';

comment on sequence bloud.events_seq is 'Sequence of event numbers (column seq of bloud.events).';
comment on sequence bloud.apps_id_seq is 'Sequence of the ids of apps.';
comment on sequence bloud.operations_id_seq is 'Sequence of the ids of operations.';
comment on sequence bloud.rebuilds_id_seq is 'Sequence of the ids of rebuilds.';
comment on sequence bloud.migrations_id_seq is 'Sequence of the ids of migrations.';

comment on index bloud.one_active_rebuild is 'Ensures that at most one rebuild is active.';
comment on index bloud.one_open_operation_per_app is
  'Ensures that each app has at most one open (queued or active) operation. Operations without an app, such '
  'as a rollback, are open at most once per kind.';
comment on index bloud.operations_by_rebuild is 'Speeds up queries for the operations of a rebuild.';
comment on index bloud.operations_by_app is 'Speeds up queries for the operations of an app.';
comment on index bloud.apps_by_choice is
  'Speeds up required_by(), which finds the apps that depend on an app.';
comment on index bloud.events_by_app is
  'Speeds up queries for the events of an app, for example in status_at().';
comment on index bloud.events_by_transition is
  'Speeds up usual_duration(), which reads how long the last changes from one status to another took.';

comment on trigger guard_app_insert on bloud.apps is 'Refuses a new app whose status is not queued.';
comment on trigger guard_app_update on bloud.apps is
  'Refuses a change of the status that bloud.status_transitions does not list.';
comment on trigger guard_app_delete on bloud.apps is
  'Refuses to delete an app if bloud.status_transitions does not allow it in the present status.';
comment on trigger guard_app_identity on bloud.apps is 'Refuses every change of the name or id of an app.';
comment on trigger append_event on bloud.apps is
  'At the commit, records a change of the status as a row of bloud.events and notifies the channel bloud.';
comment on trigger apps_are_not_emptied on bloud.apps is
  'Refuses a truncate, because a truncate would delete apps without an event in the history.';
comment on trigger history_stays on bloud.events is
  'Refuses every change or deletion of an event, except a deletion by prune().';
comment on trigger history_is_not_emptied on bloud.events is
  'Refuses a truncate, because only prune() may delete events.';
comment on trigger stamp_operation on bloud.operations is
  'Sets the role, origin and time of a new operation from the session, so that no caller can forge these '
  'values.';
comment on trigger notify_work on bloud.operations is
  'Notifies the channel bloud_work when an operation is inserted or changed.';
comment on trigger notify_epoch on bloud.stream is
  'Notifies the channel bloud when the event history gets a new id (epoch).';
comment on trigger notify_log on bloud.rebuild_log is
  'Notifies the channel bloud_log when lines of a rebuild are stored.';
comment on trigger notify_rename on bloud.apps is
  'Notifies the channel bloud_apps when a display name changes.';
comment on trigger notify_request on bloud.operations is
  'Notifies the channel bloud_apps when an operation gets a cancel request, a request to delete data, or a '
  'warning.';

comment on column bloud.refusal.sqlstate is 'Error code, for example BL004. Null if the action is allowed.';
comment on column bloud.refusal.message is 'Reason for the refusal in one sentence.';
comment on column bloud.refusal.detail is 'Further facts about the refusal, or null.';
comment on column bloud.refusal.hint is 'Advice for the operator.';

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
comment on column bloud.app_status.controls is
  'Actions (install, retry …) with whether each is allowed now: {action: {allowed, code, reason}}.';
comment on column bloud.probed_apps.overdue is 'True if the time limit of the present status has passed.';
comment on column bloud.catalog.status is 'Status of the app. Null if bloud.apps has no row of the app.';
