-- Comments of tables, columns, types, indexes and triggers, printed by \d+ in psql. Comments of functions and
-- views are next to their definitions. tests/sql/comments.test.ts requires a comment on every object.

comment on schema bloud is
  'Tables, views and functions of the Bloud host agent. A first query is: select * from bloud.app_status;';

comment on domain bloud.app_name is
  'Name of an app: 1 to 63 characters of a-z, 0-9 and -, of which the first is a letter.';
comment on domain bloud.tcp_port is 'TCP port, from 1 to 65535.';
comment on domain bloud.cause is 'Reason of a failure: JSON with at least class and message.';
comment on domain bloud.choices is
  'Dependencies of an app: {slot: [app]}. A slot is a named place for a dependency, for example "database".';
comment on domain bloud.status is 'Status of an app. bloud.status_transitions has the legal transitions.';

comment on table bloud.apps is
  'One row per app that is installed, or whose data was kept by an uninstall. A trigger checks and records '
  'every change of the status.';
comment on column bloud.apps.id is 'Id of the app, never used for another app.';
comment on column bloud.apps.name is 'Name of the app as in the catalog. The name never changes.';
comment on column bloud.apps.display_name is 'Name shown to people. The verb rename() changes this name.';
comment on column bloud.apps.version is 'Version in the catalog when the app was last requested.';
comment on column bloud.apps.status is
  'Status of the app: failed if the install failed, error if an installed app has a problem.';
comment on column bloud.apps.port is 'TCP port on which the app listens. Null if the app has no port.';
comment on column bloud.apps.is_system is 'True if the app belongs to the system and can''t be uninstalled.';
comment on column bloud.apps.integration_config is 'Dependencies of the app: {slot: [app]}.';
comment on column bloud.apps.installed_at is 'Time at which the app was healthy for the first time, or null.';
comment on column bloud.apps.updated_at is 'Time of the last change of status or name.';
comment on column bloud.apps.status_since is 'Time of the last change of the status.';
comment on column bloud.apps.wanted is 'True if the next host generation includes the app.';
comment on column bloud.apps.operation_id is 'Id of the newest install or uninstall of the app.';
comment on column bloud.apps.cause is
  'Reason of status failed or error: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.apps.deadline is 'Time after which the present status counts as failed, or null.';
comment on column bloud.apps.configured_at is 'Time of the first configuration of the app, or null.';
comment on column bloud.apps.status_actor is 'PostgreSQL role that made the last transition of the app.';
comment on column bloud.apps.status_origin is
  'Origin of the last transition: web (the page), api, psql or agent.';

comment on table bloud.status_transitions is
  'Legal transitions of an app, one per row. A trigger refuses all other transitions (BL003).';
comment on column bloud.status_transitions.from_status is 'Status before the transition. Null for a new app.';
comment on column bloud.status_transitions.to_status is
  'Status after the transition. Null for a deleted app.';
comment on column bloud.status_transitions.meaning is 'Description of the event that causes the transition.';

comment on table bloud.operations is 'One row per operation, for example the install of an app.';
comment on column bloud.operations.id is 'Id of the operation. Later operations have greater ids.';
comment on column bloud.operations.app is 'Name of the app. Null for the kinds refresh_catalog and rollback.';
comment on column bloud.operations.kind is 'Kind: install, uninstall, rename, refresh_catalog or rollback.';
comment on column bloud.operations.state is
  'State: queued, active, succeeded, failed, cancelled, or superseded by a later request.';
comment on column bloud.operations.options is
  'Options: {choices} of an install, {display_name} of a rename, {from, to} (generations) of a rollback.';
comment on column bloud.operations.purge is 'True for an uninstall that also deletes the data of the app.';
comment on column bloud.operations.previous_status is
  'Status of the app before the request. Null for a new app.';
comment on column bloud.operations.requested_for is
  'Id of the install or rollback that needs this operation, or null.';
comment on column bloud.operations.requested_by is 'PostgreSQL role that requested the operation.';
comment on column bloud.operations.origin is 'Origin of the request: web (the page), api, psql or agent.';
comment on column bloud.operations.rebuild_id is 'Id of the last rebuild with this operation, or null.';
comment on column bloud.operations.cause is
  'Reason of a failure or cancel: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.operations.warnings is 'Sentences about parts of the app that could not be set up.';
comment on column bloud.operations.requested_at is 'Time of the request.';
comment on column bloud.operations.started_at is 'Time at which a rebuild claimed the operation.';
comment on column bloud.operations.finished_at is 'Time at which the operation ended, or null.';
comment on column bloud.operations.cancel_requested_at is 'Time at which a cancel was requested, or null.';

comment on table bloud.rebuilds is 'One row per rebuild of the host. At most one rebuild is active.';
comment on column bloud.rebuilds.id is 'Id of the rebuild. Later rebuilds have greater ids.';
comment on column bloud.rebuilds.state is
  'State: active, succeeded, failed, or waiting until another rebuild has ended.';
comment on column bloud.rebuilds.phase is
  'Phase: configuring while files are written, building while the switch command runs.';
comment on column bloud.rebuilds.attempt is 'Attempt number (fencing token) of the worker of the rebuild.';
comment on column bloud.rebuilds.worker is 'Name of the worker (orchestrator process) of the rebuild.';
comment on column bloud.rebuilds.lease_until is 'Time at which the lease of the worker runs out.';
comment on column bloud.rebuilds.deadline is 'Time at which a switch command that still runs is stopped.';
comment on column bloud.rebuilds.run is 'Number of starts of the switch command for this rebuild.';
comment on column bloud.rebuilds.log_offset is
  'Number of stored bytes of the output of the last run of the switch command.';
comment on column bloud.rebuilds.log_lines is 'Number of lines of this rebuild in bloud.rebuild_log.';
comment on column bloud.rebuilds.generation_before is 'Host generation before the switch command ran.';
comment on column bloud.rebuilds.generation_after is 'Host generation after the switch command ran.';
comment on column bloud.rebuilds.exit_code is 'Exit code of the switch command, or null if not known.';
comment on column bloud.rebuilds.follows is 'Id of the failed rebuild that this rebuild continues, or null.';
comment on column bloud.rebuilds.rolls_back_to is 'Older host generation that a rollback activates, or null.';
comment on column bloud.rebuilds.desired is
  'Apps of the new host generation, {app: {version, port, integration_config}}, or null.';
comment on column bloud.rebuilds.started_at is 'Time at which the rebuild and its operations became active.';
comment on column bloud.rebuilds.build_started_at is 'Time of the first start of the switch command.';
comment on column bloud.rebuilds.activated_at is 'Time of the activation, after which a cancel is refused.';
comment on column bloud.rebuilds.finished_at is 'Time at which the rebuild ended.';

comment on table bloud.rebuild_log is 'Output of the switch command, one line per row.';
comment on column bloud.rebuild_log.rebuild_id is 'Id of the rebuild whose switch command printed the line.';
comment on column bloud.rebuild_log.line_no is 'Number of the line in the log of the rebuild, from 1.';
comment on column bloud.rebuild_log.at is 'Time at which the line was stored in the database.';
comment on column bloud.rebuild_log.line is 'Text of the line, without the line end.';

comment on table bloud.events is
  'History of the apps: one row per transition, in the order of the commits. Only prune() deletes rows.';
comment on column bloud.events.seq is
  'Number of the event. Numbers grow in the order of the commits, so a query for "seq > last" misses no '
  'row.';
comment on column bloud.events.at is 'Time of the commit.';
comment on column bloud.events.app is 'Name of the app.';
comment on column bloud.events.from_status is 'Status before the transition. Null for a new app.';
comment on column bloud.events.to_status is 'Status after the transition. Null for a deleted app.';
comment on column bloud.events.operation_id is 'Id of the operation that caused the transition.';
comment on column bloud.events.actor is 'PostgreSQL role that made the transition.';
comment on column bloud.events.origin is 'Origin of the transition: web (the page), api, psql or agent.';
comment on column bloud.events.cause is 'Reason of a transition to failed or error.';
comment on column bloud.events.lasted is 'Time that the app had spent in from_status.';
comment on column bloud.events.app_id is 'Id of the app. An app installed after a purge has a new id.';
comment on column bloud.events.display_name is 'Name shown to people after the transition.';
comment on column bloud.events.version is 'Version of the app after the transition.';
comment on column bloud.events.port is 'TCP port of the app after the transition.';
comment on column bloud.events.is_system is 'True if the app belongs to the system.';
comment on column bloud.events.integration_config is 'Dependencies after the transition: {slot: [app]}.';
comment on column bloud.events.installed_at is 'Time at which the app was first healthy, or null.';
comment on column bloud.events.updated_at is 'Time of the transition, a moment before the commit.';

comment on table bloud.catalog_cache is 'Catalog files as last read by the orchestrator, one row per app.';
comment on column bloud.catalog_cache.name is 'Name of the app.';
comment on column bloud.catalog_cache.yaml_content is 'Text of the catalog file.';
comment on column bloud.catalog_cache.updated_at is 'Time of the last change of the content.';
comment on column bloud.catalog_cache.entry is 'Catalog file as JSON. The field integrations has the slots.';
comment on column bloud.catalog_cache.display_name is
  'Name of the app shown to people, unless changed by rename().';
comment on column bloud.catalog_cache.description is 'Purpose of the app in one sentence.';
comment on column bloud.catalog_cache.category is 'Category of the app in the catalog.';
comment on column bloud.catalog_cache.version is 'Version that an install installs.';
comment on column bloud.catalog_cache.port is 'TCP port on which the installed app listens, or null.';
comment on column bloud.catalog_cache.is_system is 'True if the app belongs to the system.';
comment on column bloud.catalog_cache.unavailable is 'Reason why this machine can''t run the app, or null.';
comment on column bloud.catalog_cache.warnings is 'Sentences about probable mistakes in the catalog file.';

comment on table bloud.catalog_problems is 'Catalog files that could not be used, each with the reason.';
comment on column bloud.catalog_problems.file is 'Name of the file in the catalog folder.';
comment on column bloud.catalog_problems.line is 'Number of the line with the problem, or null.';
comment on column bloud.catalog_problems.reason is 'Description of the problem in one sentence.';
comment on column bloud.catalog_problems.found_at is 'Time at which the orchestrator read the file.';

comment on table bloud.lease is 'Lease of the worker (orchestrator process) that may act on the host.';
comment on column bloud.lease.singleton is 'Constant primary key that limits the table to one row.';
comment on column bloud.lease.attempt is 'Attempt number (fencing token), increased by acquire_lease().';
comment on column bloud.lease.worker is 'Name of the worker that holds the lease, or of the last holder.';
comment on column bloud.lease.lease_until is 'Time at which the lease runs out. Null after a release.';

comment on table bloud.deletions is
  'Role and origin of deleted apps. At the commit a trigger moves the values into bloud.events.';
comment on column bloud.deletions.app_id is 'Id of the deleted app.';
comment on column bloud.deletions.actor is 'PostgreSQL role that deleted the app.';
comment on column bloud.deletions.origin is 'Origin of the deletion: web (the page), api, psql or agent.';

comment on table bloud.stream is 'Identity of the event history. The table has one row.';
comment on column bloud.stream.singleton is 'Constant primary key that limits the table to one row.';
comment on column bloud.stream.epoch is 'Identity of the event history. A restored backup gets a new epoch.';
comment on column bloud.stream.pruned_to is 'Greatest seq of all pruned events.';

comment on table bloud.migrations is 'Applied files of sql/migrations. node-pg-migrate writes the rows.';
comment on column bloud.migrations.id is 'Id of the migration.';
comment on column bloud.migrations.name is 'Name of the file without .sql.';
comment on column bloud.migrations.run_on is 'Time of application, in the time zone of the session.';

comment on sequence bloud.events_seq is 'Source of event numbers (seq).';
comment on sequence bloud.apps_id_seq is 'Source of the ids of apps.';
comment on sequence bloud.operations_id_seq is 'Source of the ids of operations.';
comment on sequence bloud.rebuilds_id_seq is 'Source of the ids of rebuilds.';
comment on sequence bloud.migrations_id_seq is 'Source of the ids of migrations.';

comment on index bloud.one_active_rebuild is 'Allows at most one active rebuild.';
comment on index bloud.one_open_operation_per_app is
  'Allows at most one open operation per app, or per kind if the operation has no app.';
comment on index bloud.operations_by_rebuild is 'Finds the operations of a rebuild.';
comment on index bloud.operations_by_app is 'Finds the operations of an app in the order of the ids.';
comment on index bloud.apps_by_choice is 'Lets required_by() find apps by their dependencies.';
comment on index bloud.events_by_app is 'Lets status_at() and bloud.history find the events of an app.';
comment on index bloud.events_by_transition is 'Lets usual_duration() find the events that end a phase.';

comment on trigger guard_app_insert on bloud.apps is 'Refuses to insert an app that is not queued.';
comment on trigger guard_app_update on bloud.apps is
  'Refuses transitions that are not in status_transitions.';
comment on trigger guard_app_delete on bloud.apps is 'Refuses a deletion that is not in status_transitions.';
comment on trigger guard_app_identity on bloud.apps is 'Refuses every change of the name or id of an app.';
comment on trigger append_event on bloud.apps is
  'At the commit, writes the transition into bloud.events and notifies the channel bloud.';
comment on trigger apps_are_not_emptied on bloud.apps is 'Refuses a truncate, which would write no events.';
comment on trigger history_stays on bloud.events is 'Refuses to change events. Only prune() deletes events.';
comment on trigger history_is_not_emptied on bloud.events is 'Refuses a truncate of bloud.events.';
comment on trigger stamp_operation on bloud.operations is
  'Overwrites the role, origin and time of a new operation, so that no caller can forge these values.';
comment on trigger notify_work on bloud.operations is
  'Notifies the channel bloud_work when operations are inserted or changed.';
comment on trigger notify_epoch on bloud.stream is 'Notifies the channel bloud when the epoch changes.';
comment on trigger notify_log on bloud.rebuild_log is 'Notifies the channel bloud_log of new log lines.';
comment on trigger notify_rename on bloud.apps is 'Notifies the channel bloud_apps of a new display name.';
comment on trigger notify_request on bloud.operations is
  'Notifies the channel bloud_apps when the cancel request, purge or warnings of an operation change.';

comment on column bloud.refusal.sqlstate is 'SQLSTATE of class BL. Null if the verb is not refused.';
comment on column bloud.refusal.message is 'Reason of the refusal in one sentence.';
comment on column bloud.refusal.detail is 'Further facts about the refusal.';
comment on column bloud.refusal.hint is 'Advice to the operator on what to do.';

-- Copies the comments of table columns to the view columns of the same names.
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
comment on column bloud.queue.operation_id is 'Id of the waiting operation.';
comment on column bloud.queue.waiting is 'Time since the request, in whole seconds.';
comment on column bloud.active.operation_id is 'Id of the open operation.';
comment on column bloud.active.elapsed is 'Time since the last transition of the app.';
comment on column bloud.history.duration is 'Time that the app stayed in to_status, or null if not over.';
comment on column bloud.history.class is 'Class of the cause, for example build or health.';
comment on column bloud.history.message is 'Cause of the transition in one sentence.';
comment on column bloud.app_status.elapsed is 'Time since the last transition of the app.';
comment on column bloud.app_status.usual is
  'Usual duration of the present status: {p50_seconds, p90_seconds, samples, of}, or null.';
comment on column bloud.app_status.step_seconds is 'Seconds spent in each finished step: {status: seconds}.';
comment on column bloud.app_status.operation_kind is 'Kind of the newest operation: install or uninstall.';
comment on column bloud.app_status.operation_state is
  'State of the newest operation: queued, active, succeeded, failed, cancelled or superseded.';
comment on column bloud.app_status.queue_position is 'Position of the app in bloud.queue, or null.';
comment on column bloud.app_status.required_by is 'Installed apps that require this app.';
comment on column bloud.app_status.protocol is 'Protocol on the port of the app: http for browsers, or tcp.';
comment on column bloud.app_status.controls is
  'Whether each verb is allowed now: {verb: {allowed, code, reason}}.';
comment on column bloud.probed_apps.overdue is 'True if the deadline of the app has passed.';
comment on column bloud.catalog.status is 'Status of the app. Null if the app has no row in bloud.apps.';
