-- Comments of tables, columns, types, indexes and triggers. The psql command \d+ prints the comments. The
-- comment of a function or view is in the file that defines the function or view.
-- tests/sql/comments.test.ts requires a comment on every object.

comment on schema bloud is
  'Tables, views and functions of the Bloud host agent: apps of this machine, requested operations, '
  'history. A first query is: select * from bloud.app_status;';

comment on domain bloud.app_name is
  'Permanent name of an app: 1 to 63 characters of a-z, 0-9 and -, of which the first is a letter.';
comment on domain bloud.tcp_port is 'TCP port, from 1 to 65535.';
comment on domain bloud.cause is
  'Reason of a failure, as a JSON object with at least the fields class and message.';
comment on domain bloud.choices is
  'Dependencies chosen for an app, as JSON: {slot: [app]}. A slot is a named place for a dependency, '
  'for example "database".';
comment on domain bloud.status is
  'Status of an app. The legal transitions between statuses are the rows of bloud.status_transitions.';

comment on table bloud.apps is
  'One row per app that is installed, or that was uninstalled while the data of the app was kept. Only the '
  'verbs (install, uninstall …) and the orchestrator change the status. A trigger checks and records every '
  'change of the status.';
comment on column bloud.apps.id is 'Id of the app. An id never changes and is never used for another app.';
comment on column bloud.apps.name is 'Name of the app as in the catalog. The name never changes.';
comment on column bloud.apps.display_name is 'Name of the app shown to people. The verb rename() changes it.';
comment on column bloud.apps.version is 'Version that the catalog had when the app was last requested.';
comment on column bloud.apps.status is
  'Status of the app: queued, configuring, building, starting, running, stopping, stopped, error (active '
  'but not healthy) or failed (the install did not succeed).';
comment on column bloud.apps.port is 'TCP port on which the app listens. Null if the app has no port.';
comment on column bloud.apps.is_system is 'True if the app belongs to the system and can''t be uninstalled.';
comment on column bloud.apps.integration_config is
  'Dependencies chosen for the app, as JSON: {slot: [app]}. A slot is a named place for a dependency.';
comment on column bloud.apps.installed_at is
  'Time at which the app was healthy for the first time. Null before that time.';
comment on column bloud.apps.updated_at is 'Time of the last change of the status or the display name.';
comment on column bloud.apps.status_since is 'Time of the last change of the status.';
comment on column bloud.apps.wanted is 'True if the next host generation includes the app.';
comment on column bloud.apps.operation_id is
  'Id of the open operation of the app, or of its last operation if none is open.';
comment on column bloud.apps.cause is
  'Reason of the status failed or error: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.apps.deadline is
  'Time after which the present status of the app (for example building) counts as failed. Null if the '
  'status may last for any time.';
comment on column bloud.apps.configured_at is
  'Time of the first configuration of the app. Null if the app has never been configured.';
comment on column bloud.apps.status_actor is 'PostgreSQL role that made the last transition of the app.';
comment on column bloud.apps.status_origin is
  'Origin of the last transition of the app: web (the page), api, psql, or agent (the orchestrator).';

comment on table bloud.status_transitions is
  'Legal transitions of an app, one per row. A trigger refuses all other transitions (BL003), for every '
  'role.';
comment on column bloud.status_transitions.from_status is
  'Status before the transition. Null if the transition inserts the row of the app.';
comment on column bloud.status_transitions.to_status is
  'Status after the transition. Null if the transition deletes the row of the app.';
comment on column bloud.status_transitions.meaning is
  'Description of the event that leads to the transition, as text.';

comment on table bloud.operations is
  'One row per requested operation. An operation begins as queued, becomes active, and ends as succeeded, '
  'failed, cancelled or superseded.';
comment on column bloud.operations.id is 'Id of the operation. Ids grow in the order of the requests.';
comment on column bloud.operations.app is
  'Name of the app. Null for the kinds refresh_catalog and rollback, because they have no app.';
comment on column bloud.operations.kind is
  'Kind of the operation: install, uninstall, rename, refresh_catalog or rollback.';
comment on column bloud.operations.state is
  'State of the operation: queued, active, succeeded, failed, cancelled, or superseded by a later request.';
comment on column bloud.operations.options is
  'Options of the request: {"choices": {slot: app or [apps]}} for an install, {"display_name": text} for a '
  'rename, {"from": generation, "to": generation} for a rollback.';
comment on column bloud.operations.purge is
  'True if the operation is an uninstall that also deletes the data of the app.';
comment on column bloud.operations.previous_status is
  'Status of the app when the operation was requested. Null if the app had no row then.';
comment on column bloud.operations.requested_for is
  'Id of the operation that caused this operation: the install of an app that depends on this app, or a '
  'rollback. Null if an operator requested this operation directly.';
comment on column bloud.operations.requested_by is 'PostgreSQL role that requested the operation.';
comment on column bloud.operations.origin is
  'Origin of the request: web (the page), api, psql, or agent (the orchestrator).';
comment on column bloud.operations.rebuild_id is
  'Id of the last rebuild that included the operation. Null if no rebuild has included the operation.';
comment on column bloud.operations.cause is
  'Reason why the operation failed or was cancelled: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.operations.warnings is
  'List of sentences. Each sentence names a part of the app that could not be set up, although the app '
  'itself was installed.';
comment on column bloud.operations.requested_at is 'Time of the request.';
comment on column bloud.operations.started_at is 'Time at which a rebuild claimed the operation.';
comment on column bloud.operations.finished_at is
  'Time at which the operation ended. Null while the operation is queued or active.';
comment on column bloud.operations.cancel_requested_at is
  'Time at which an operator requested to cancel the active operation. Null without such a request.';

comment on table bloud.rebuilds is
  'One row per rebuild of the host. A new rebuild includes all operations queued at that time. At most one '
  'rebuild is active.';
comment on column bloud.rebuilds.id is 'Id of the rebuild. Ids grow in the order of creation.';
comment on column bloud.rebuilds.state is
  'State of the rebuild: active, succeeded, failed, or waiting. If a rebuild fails and the cause names no '
  'app, the operations are split between an active and a waiting rebuild.';
comment on column bloud.rebuilds.phase is
  'Phase of the rebuild: configuring while files are written, building while the switch command runs.';
comment on column bloud.rebuilds.attempt is
  'Attempt number of the worker that holds the lease. Calls of other workers have another attempt number and '
  'are refused.';
comment on column bloud.rebuilds.worker is
  'Name of the worker (orchestrator process) that works on the rebuild.';
comment on column bloud.rebuilds.lease_until is
  'Time at which the lease of the worker runs out, unless the worker renews the lease before.';
comment on column bloud.rebuilds.deadline is
  'Time at which the switch command is stopped and the rebuild fails.';
comment on column bloud.rebuilds.run is
  'Number of starts of the switch command for this rebuild. A number above 1 means that a switch command '
  'ended without a known outcome and was started again.';
comment on column bloud.rebuilds.log_offset is
  'Number of bytes of the output of the last started switch command that are stored in bloud.rebuild_log.';
comment on column bloud.rebuilds.log_lines is 'Number of lines of this rebuild in bloud.rebuild_log.';
comment on column bloud.rebuilds.generation_before is 'Host generation before the switch command ran.';
comment on column bloud.rebuilds.generation_after is
  'Host generation after the switch command ran, as observed by the orchestrator.';
comment on column bloud.rebuilds.exit_code is
  'Exit code of the switch command. Null if no exit code is known.';
comment on column bloud.rebuilds.follows is
  'Id of the failed rebuild whose remaining operations this rebuild includes. Null for all other rebuilds.';
comment on column bloud.rebuilds.rolls_back_to is
  'Older host generation that a rollback activates. Null if the rebuild creates a new generation.';
comment on column bloud.rebuilds.desired is
  'Apps of the host generation that the rebuild creates: {app: {version, port, integration_config}}. Null '
  'if these apps are not known.';
comment on column bloud.rebuilds.started_at is
  'Time at which the rebuild started. The operations of the rebuild become active at the same time.';
comment on column bloud.rebuilds.build_started_at is 'Time of the first start of the switch command.';
comment on column bloud.rebuilds.activated_at is
  'Time at which the host began to activate the new generation. From this time on a cancel is refused.';
comment on column bloud.rebuilds.finished_at is 'Time at which the rebuild ended.';

comment on table bloud.rebuild_log is
  'Output of the switch command, one line per row. The function operation_log() returns the lines of an '
  'operation.';
comment on column bloud.rebuild_log.rebuild_id is 'Id of the rebuild that printed the line.';
comment on column bloud.rebuild_log.line_no is
  'Number of the line in the log of the rebuild. Numbers begin with 1 and have no gaps.';
comment on column bloud.rebuild_log.at is 'Time at which the line was stored in the database.';
comment on column bloud.rebuild_log.line is 'Text of the line, without the line end.';

comment on table bloud.events is
  'History of the apps: one row per transition, written by a trigger in the order of the commits. Rows are '
  'never changed; prune() deletes old rows.';
comment on column bloud.events.seq is
  'Number of the event. Numbers grow in the order of the commits, so a query for "seq > last" misses no '
  'row. Numbers may be skipped.';
comment on column bloud.events.at is 'Time of the commit.';
comment on column bloud.events.app is 'Name of the app.';
comment on column bloud.events.from_status is
  'Status before the transition. Null if the transition inserted the row of the app.';
comment on column bloud.events.to_status is
  'Status after the transition. Null if the transition deleted the row of the app.';
comment on column bloud.events.operation_id is 'Id of the operation that caused the transition.';
comment on column bloud.events.actor is 'PostgreSQL role that made the transition.';
comment on column bloud.events.origin is
  'Origin of the transition: web (the page), api, psql, or agent (the orchestrator).';
comment on column bloud.events.cause is 'Reason of a transition to failed or error.';
comment on column bloud.events.lasted is 'Time that the app had spent in from_status.';
comment on column bloud.events.app_id is
  'Id of the app. An app that is purged and installed again gets a new id.';
comment on column bloud.events.display_name is 'Name of the app shown to people after the transition.';
comment on column bloud.events.version is 'Version of the app after the transition.';
comment on column bloud.events.port is 'TCP port of the app after the transition.';
comment on column bloud.events.is_system is 'True if the app belongs to the system.';
comment on column bloud.events.integration_config is
  'Apps that filled the slots of the app after the transition: {slot: [app]}.';
comment on column bloud.events.installed_at is 'Time at which the app was healthy for the first time.';
comment on column bloud.events.updated_at is
  'Time of the transition within its transaction. The column `at` has the time of the commit.';

comment on table bloud.catalog_cache is
  'Catalog files as last read by the orchestrator, one row per app. The view bloud.catalog shows these rows '
  'to people.';
comment on column bloud.catalog_cache.name is 'Name of the app.';
comment on column bloud.catalog_cache.yaml_content is 'Text of the catalog file.';
comment on column bloud.catalog_cache.updated_at is 'Time of the last change of the content.';
comment on column bloud.catalog_cache.entry is
  'Catalog file as parsed JSON, with slots (integrations), healthCheck, npm and image.';
comment on column bloud.catalog_cache.display_name is
  'Name of the app shown to people. A rename of the installed app does not change this name.';
comment on column bloud.catalog_cache.description is 'Purpose of the app in one sentence.';
comment on column bloud.catalog_cache.category is 'Category of the app in the catalog.';
comment on column bloud.catalog_cache.version is 'Version that an install installs.';
comment on column bloud.catalog_cache.port is
  'TCP port on which the app listens once installed. Null if the app has no port.';
comment on column bloud.catalog_cache.is_system is
  'True if the app belongs to the system and, once installed, can''t be uninstalled.';
comment on column bloud.catalog_cache.unavailable is
  'Reason why the app can''t be installed on this machine. Null if the app can be installed.';
comment on column bloud.catalog_cache.warnings is
  'List of sentences. Each sentence describes a probable mistake in the catalog file of the app.';

comment on table bloud.catalog_problems is 'Catalog files that could not be used, each with the reason.';
comment on column bloud.catalog_problems.file is 'Name of the file in the catalog folder.';
comment on column bloud.catalog_problems.line is
  'Number of the line with the problem. Null if the line is not known.';
comment on column bloud.catalog_problems.reason is 'Description of the problem in one sentence.';
comment on column bloud.catalog_problems.found_at is 'Time at which the orchestrator read the file.';

comment on table bloud.lease is
  'Lease of the worker (orchestrator process) that may act on the host. The table has one row.';
comment on column bloud.lease.singleton is 'Constant primary key that limits the table to one row.';
comment on column bloud.lease.attempt is
  'Attempt number (fencing token), which grows each time a worker acquires the lease. A call with an older '
  'number is refused (BL016).';
comment on column bloud.lease.worker is
  'Name of the worker that holds the lease, or of the last worker that held the lease.';
comment on column bloud.lease.lease_until is
  'Time at which the lease runs out. Null if the lease is released.';

comment on table bloud.deletions is
  'Role and origin of each deletion of an app. A row is inserted when the app is deleted. At the commit a '
  'trigger moves the values into bloud.events and deletes the row.';
comment on column bloud.deletions.app_id is 'Id of the deleted app.';
comment on column bloud.deletions.actor is 'PostgreSQL role that deleted the app.';
comment on column bloud.deletions.origin is 'Origin of the deletion: web, api, psql, or agent.';

comment on table bloud.stream is 'Identity of the event history. The table has one row.';
comment on column bloud.stream.singleton is 'Constant primary key that limits the table to one row.';
comment on column bloud.stream.epoch is
  'Identity of the event history. A restored backup gets a new epoch, so that no client continues with '
  'events of the old history. Event ids sent to clients are <epoch>.<seq>.';
comment on column bloud.stream.pruned_to is 'Greatest seq of all pruned events.';

comment on table bloud.migrations is
  'Files of sql/migrations that have been applied to this database. The library node-pg-migrate writes the '
  'rows.';
comment on column bloud.migrations.id is 'Id of the migration. Ids grow in the order of application.';
comment on column bloud.migrations.name is 'Name of the file without .sql.';
comment on column bloud.migrations.run_on is 'Time of application, in the time zone of the session.';

comment on sequence bloud.events_seq is
  'Source of event numbers (seq). A number is taken under a lock that is held until the commit, so numbers '
  'become visible in ascending order.';
comment on sequence bloud.apps_id_seq is 'Source of the ids of apps.';
comment on sequence bloud.operations_id_seq is 'Source of the ids of operations.';
comment on sequence bloud.rebuilds_id_seq is 'Source of the ids of rebuilds.';
comment on sequence bloud.migrations_id_seq is 'Source of the ids of migrations.';

comment on index bloud.one_active_rebuild is 'Unique index that allows at most one active rebuild.';
comment on index bloud.one_open_operation_per_app is
  'Unique index that allows at most one queued or active operation per app. Operations without an app are '
  'limited to one of each kind.';
comment on index bloud.operations_by_rebuild is 'Index with which the operations of a rebuild are found.';
comment on index bloud.operations_by_app is
  'Index with which the operations of an app are found in the order of the ids.';
comment on index bloud.apps_by_choice is
  'Index with which required_by() finds the apps that use a given app as a dependency.';
comment on index bloud.events_by_app is
  'Index with which status_at() and the view bloud.history find the events of an app.';
comment on index bloud.events_by_transition is
  'Index with which usual_duration() finds the events that end a phase, for example building.';

comment on trigger guard_app_insert on bloud.apps is
  'Refuses to insert an app in a status other than queued.';
comment on trigger guard_app_update on bloud.apps is
  'Refuses every change of status that is not a row of status_transitions.';
comment on trigger guard_app_delete on bloud.apps is
  'Refuses to delete an app unless status_transitions permits the deletion in the status of the app.';
comment on trigger guard_app_identity on bloud.apps is 'Refuses every change of the name or id of an app.';
comment on trigger append_event on bloud.apps is
  'Inserts one row into bloud.events per transition and notifies the channel bloud. Both happen at the '
  'commit.';
comment on trigger apps_are_not_emptied on bloud.apps is
  'Refuses a truncate of bloud.apps, because a truncate writes no events.';
comment on trigger history_stays on bloud.events is
  'Refuses to update events, and to delete events except in prune().';
comment on trigger history_is_not_emptied on bloud.events is 'Refuses a truncate of bloud.events.';
comment on trigger stamp_operation on bloud.operations is
  'Sets the role, origin and time of the request. Values of the insert statement are overwritten, so that '
  'a caller can''t forge the values.';
comment on trigger notify_work on bloud.operations is
  'Notifies the channel bloud_work when operations are inserted or changed.';
comment on trigger notify_epoch on bloud.stream is 'Notifies the channel bloud when the epoch changes.';
comment on trigger notify_log on bloud.rebuild_log is
  'Notifies the channel bloud_log when log lines are inserted.';
comment on trigger notify_rename on bloud.apps is
  'Notifies the channel bloud_apps when a display name changes.';
comment on trigger notify_request on bloud.operations is
  'Notifies the channel bloud_apps when the cancel request, purge or warnings of an operation change.';

comment on column bloud.refusal.sqlstate is 'SQLSTATE of class BL. Null if the verb is not refused.';
comment on column bloud.refusal.message is 'Reason of the refusal in one sentence.';
comment on column bloud.refusal.detail is 'Further facts about the refusal.';
comment on column bloud.refusal.hint is 'Advice to the operator on what to do.';

-- Copies the comment of a table column to the view column of the same name. View columns without such a
-- table column get their comments below this block.
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
comment on column bloud.active.elapsed is 'Time since the last transition of the app, in whole seconds.';
comment on column bloud.history.duration is
  'Time that the app stayed in to_status. Null if the app still has that status or was deleted.';
comment on column bloud.history.class is
  'Class of the cause: preflight, configure, evaluate, build, activate, health, timeout, cancelled or '
  'interrupted.';
comment on column bloud.history.message is 'Cause of the transition in one sentence.';
comment on column bloud.app_status.elapsed is 'Time since the last transition of the app, in whole seconds.';
comment on column bloud.app_status.usual is
  'Usual duration of the present status of the app: {p50_seconds, p90_seconds, samples, of}. Null if fewer '
  'than five earlier durations are known.';
comment on column bloud.app_status.step_seconds is
  'Seconds that the app spent in each finished status of its operation: {status: seconds}.';
comment on column bloud.app_status.operation_kind is
  'Kind of the open operation of the app, or of the last operation: install or uninstall.';
comment on column bloud.app_status.operation_state is
  'State of the open operation of the app, or of the last operation: queued, active, succeeded, failed, '
  'cancelled or superseded.';
comment on column bloud.app_status.warnings is
  'List of sentences. Each sentence names a part of the app that could not be set up, although the app '
  'itself was installed.';
comment on column bloud.app_status.queue_position is
  'Position of the app in bloud.queue. Null if the app is not in the queue.';
comment on column bloud.app_status.required_by is 'Installed apps that require this app.';
comment on column bloud.app_status.protocol is
  'Protocol on the port of the app: http, which a browser can open, or tcp for any other protocol.';
comment on column bloud.app_status.controls is
  'For each verb (install, uninstall …): true in allowed if the verb is allowed now, or else the SQLSTATE '
  'and the reason of the refusal. The form is {verb: {allowed, code, reason}}.';
comment on column bloud.probed_apps.overdue is 'True if the deadline of the app has passed.';
comment on column bloud.catalog.status is 'Status of the app. Null if the app has no row in bloud.apps.';
