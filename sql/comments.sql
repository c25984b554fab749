-- Comments for tables, columns, types, indexes and triggers, as printed by \d+. Functions and views have
-- theirs beside their definition. A test requires a comment on every object.
--
--   object created → comment here, or copied from the table column to the view column → \d+

comment on schema bloud is
  'The Bloud host agent: the apps of this machine, the requested operations, and their history. Begin with: '
  'select * from bloud.app_status;';

comment on domain bloud.app_name is
  'Permanent name of an app: 1 to 63 of a-z, 0-9 and -, beginning with a letter.';
comment on domain bloud.tcp_port is 'A TCP port, 1 to 65535.';
comment on domain bloud.cause is 'Reason of a failure: an object with at least class and message.';
comment on domain bloud.choices is 'Apps that fill the slots of an app: {slot: [app]}.';
comment on domain bloud.status is 'Statuses of an app; status_transitions has the legal order.';

comment on table bloud.apps is
  'One row per app that is installed, or was uninstalled with its data kept. Its status is changed by the '
  'verbs and the orchestrator; every transition is checked and recorded.';
comment on column bloud.apps.id is 'Never changes and is never reused.';
comment on column bloud.apps.name is 'Name of the app as in the catalog. Never changes.';
comment on column bloud.apps.display_name is 'Name shown to people. Changed with rename().';
comment on column bloud.apps.version is 'Version in the catalog when the app was last requested.';
comment on column bloud.apps.status is
  'queued, configuring, building, starting, running, stopping, stopped, error (active, but not healthy) or '
  'failed (the install did not succeed).';
comment on column bloud.apps.port is 'TCP port the app listens on; null: none.';
comment on column bloud.apps.is_system is 'True if the app belongs to the system and can''t be uninstalled.';
comment on column bloud.apps.integration_config is 'Apps that fill the slots of this app: {slot: [app]}.';
comment on column bloud.apps.installed_at is 'Time of the first running; null before.';
comment on column bloud.apps.updated_at is 'Time of the last change of status or display_name.';
comment on column bloud.apps.status_since is 'Time of the last transition.';
comment on column bloud.apps.wanted is 'True if the next generation includes the app.';
comment on column bloud.apps.operation_id is 'The open operation of the app, or else its last one.';
comment on column bloud.apps.cause is
  'Reason of failed or error: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.apps.deadline is 'Time at which the present phase ends as a failure; null: no limit.';
comment on column bloud.apps.configured_at is
  'Time of the first configuration; null if no request of the app got that far.';
comment on column bloud.apps.status_actor is 'Role that made the last transition, as recorded in its event.';
comment on column bloud.apps.status_origin is 'Origin of the last transition: web, api, psql or agent.';

comment on table bloud.status_transitions is
  'Every legal transition of an app; any other is refused (BL003) for every role.';
comment on column bloud.status_transitions.from_status is 'Null: the row of the app is inserted.';
comment on column bloud.status_transitions.to_status is 'Null: the row of the app is deleted.';
comment on column bloud.status_transitions.meaning is 'Occasion of the transition.';

comment on table bloud.operations is
  'One row per requested operation. Its state is queued, active, then succeeded, failed, cancelled or '
  'superseded.';
comment on column bloud.operations.id is 'Numbered in the order of the requests.';
comment on column bloud.operations.app is 'Name of the app; null for refresh_catalog and rollback.';
comment on column bloud.operations.kind is 'install, uninstall, rename, refresh_catalog or rollback.';
comment on column bloud.operations.state is
  'queued, active, succeeded, failed, cancelled, or superseded by a later request.';
comment on column bloud.operations.options is
  'Options as given: {"choices": {slot: app or [apps]}} for an install, {"display_name": text} for a '
  'rename, {"from": generation, "to": generation} for a rollback.';
comment on column bloud.operations.purge is 'True for an uninstall that also deletes the data.';
comment on column bloud.operations.previous_status is
  'Status of the app at the request; null: it had no row.';
comment on column bloud.operations.requested_for is
  'The install that needs this one as a dependency, or the rollback that it is a part of.';
comment on column bloud.operations.requested_by is 'Role that requested the operation.';
comment on column bloud.operations.origin is
  'Origin of the request: web (the page), api, psql, or agent (the orchestrator).';
comment on column bloud.operations.rebuild_id is
  'The rebuild that includes the operation, or the last one that did.';
comment on column bloud.operations.cause is
  'Reason of a failure or cancel: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.operations.warnings is
  'Parts that could not be set up although the app itself could, as sentences.';
comment on column bloud.operations.requested_at is 'Time of the request.';
comment on column bloud.operations.started_at is 'Time at which a rebuild claimed the operation.';
comment on column bloud.operations.finished_at is 'Time of the end; null while queued or active.';
comment on column bloud.operations.cancel_requested_at is
  'Time of a cancel requested while the operation was active.';

comment on table bloud.rebuilds is
  'One row per rebuild of the host, which includes all operations that were queued; at most one is active.';
comment on column bloud.rebuilds.id is 'Numbered in the order of creation.';
comment on column bloud.rebuilds.state is
  'waiting (second half of a failed rebuild whose cause named no app), active, succeeded or failed.';
comment on column bloud.rebuilds.phase is 'configuring: files are being written. building: the switch runs.';
comment on column bloud.rebuilds.attempt is
  'Attempt number of the lease it belongs to; calls with another number are refused.';
comment on column bloud.rebuilds.worker is 'Name of the worker.';
comment on column bloud.rebuilds.lease_until is
  'Time at which the worker counts as dead, unless it renews the lease.';
comment on column bloud.rebuilds.deadline is 'Time at which the switch is stopped and the rebuild fails.';
comment on column bloud.rebuilds.run is
  'Number of starts of the switch; above 1: a lost switch was started again.';
comment on column bloud.rebuilds.log_offset is
  'Position in bytes up to which the log of the run is stored in rebuild_log.';
comment on column bloud.rebuilds.log_lines is 'Number of lines in rebuild_log.';
comment on column bloud.rebuilds.generation_before is 'Generation of the host before the switch.';
comment on column bloud.rebuilds.generation_after is 'Generation of the host after the switch, as observed.';
comment on column bloud.rebuilds.exit_code is 'Exit code of the switch; null: none.';
comment on column bloud.rebuilds.follows is
  'The failed rebuild whose remaining operations this one includes.';
comment on column bloud.rebuilds.rolls_back_to is
  'Older generation that a rollback activates; null: the rebuild makes a new generation.';
comment on column bloud.rebuilds.desired is
  'Apps of the generation after it, as configured: {app: {version, port, integration_config}}; null: not '
  'known.';
comment on column bloud.rebuilds.started_at is 'Time of the claim of its operations.';
comment on column bloud.rebuilds.build_started_at is 'Time of the first start of the switch.';
comment on column bloud.rebuilds.activated_at is
  'Time at which the host began to switch over; from then on a cancel is refused.';
comment on column bloud.rebuilds.finished_at is 'Time of the end.';

comment on table bloud.rebuild_log is
  'Output of the switch, line by line. operation_log() reads it by operation.';
comment on column bloud.rebuild_log.rebuild_id is 'The rebuild.';
comment on column bloud.rebuild_log.line_no is 'From 1, without gaps.';
comment on column bloud.rebuild_log.at is 'Time of the arrival in the database.';
comment on column bloud.rebuild_log.line is 'Text without the line end.';

comment on table bloud.events is
  'History: exactly one row per transition, written by trigger in commit order. Rows are only appended, and '
  'pruned.';
comment on column bloud.events.seq is
  'Grows in the order of the commits, so "seq > last" misses no row; numbers may be skipped.';
comment on column bloud.events.at is 'Time of the commit.';
comment on column bloud.events.app is 'Name of the app.';
comment on column bloud.events.from_status is 'Null: the row of the app was inserted.';
comment on column bloud.events.to_status is 'Null: the row of the app was deleted.';
comment on column bloud.events.operation_id is 'The operation that caused the transition.';
comment on column bloud.events.actor is 'Role that made the transition.';
comment on column bloud.events.origin is 'Origin: web (the page), api, psql, or agent (the orchestrator).';
comment on column bloud.events.cause is 'Reason of a transition to failed or error.';
comment on column bloud.events.lasted is 'Time the app had been in from_status.';
comment on column bloud.events.app_id is 'Id of the app; an app purged and installed again has another.';
comment on column bloud.events.display_name is 'Name shown to people at that time.';
comment on column bloud.events.version is 'Version after the transition.';
comment on column bloud.events.port is 'TCP port after the transition.';
comment on column bloud.events.is_system is 'True if the app belongs to the system.';
comment on column bloud.events.integration_config is 'Apps that filled its slots: {slot: [app]}.';
comment on column bloud.events.installed_at is 'Time of the first running.';
comment on column bloud.events.updated_at is
  'Time of the transition within its transaction; `at` is the time of the commit.';

comment on table bloud.catalog_cache is
  'The catalog files as last read by the orchestrator. The view bloud.catalog is for people.';
comment on column bloud.catalog_cache.name is 'Name of the app.';
comment on column bloud.catalog_cache.yaml_content is 'Text of the file.';
comment on column bloud.catalog_cache.updated_at is 'Time of the last change of the content.';
comment on column bloud.catalog_cache.entry is
  'The file, parsed: slots (integrations), healthCheck, npm, image.';
comment on column bloud.catalog_cache.display_name is 'Name shown to people, unless the app is renamed.';
comment on column bloud.catalog_cache.description is 'Purpose of the app in one sentence.';
comment on column bloud.catalog_cache.category is 'Category in the catalog.';
comment on column bloud.catalog_cache.version is 'Version that an install installs.';
comment on column bloud.catalog_cache.port is 'TCP port the app will listen on; null: none.';
comment on column bloud.catalog_cache.is_system is
  'True if the app belongs to the system: once installed it stays.';
comment on column bloud.catalog_cache.unavailable is
  'Reason why it can''t be installed on this machine; null: it can.';
comment on column bloud.catalog_cache.warnings is 'Doubtful parts of the file, as sentences.';

comment on table bloud.catalog_problems is 'Catalog files that could not be used, with the reason.';
comment on column bloud.catalog_problems.file is 'Name of the file in the catalog folder.';
comment on column bloud.catalog_problems.line is 'Line of the problem; null: not known.';
comment on column bloud.catalog_problems.reason is 'The problem in a sentence.';
comment on column bloud.catalog_problems.found_at is 'Time of reading.';

comment on table bloud.lease is 'The right to work, held by one orchestrator at a time. One row.';
comment on column bloud.lease.singleton is 'Limits the table to one row.';
comment on column bloud.lease.attempt is
  'Fencing token: grows with each holder. Calls include it, and an old number is refused (BL016).';
comment on column bloud.lease.worker is 'Name of the holder, or of the last one.';
comment on column bloud.lease.lease_until is 'End of the lease; null: released.';

comment on table bloud.deletions is
  'Actor of a deletion of an app, from the deletion to the commit. Empty for other transactions.';
comment on column bloud.deletions.app_id is 'Id of the deleted app.';
comment on column bloud.deletions.actor is 'Role that deleted the app.';
comment on column bloud.deletions.origin is 'Origin: web, api, psql, or agent.';

comment on table bloud.stream is 'Identity of this history. One row.';
comment on column bloud.stream.singleton is 'Limits the table to one row.';
comment on column bloud.stream.epoch is
  'Ids on the stream are <epoch>.<seq>. A restored backup gets a new epoch, so that no client continues '
  'across the gap.';
comment on column bloud.stream.pruned_to is 'Events up to this seq may have been pruned.';

comment on table bloud.migrations is
  'Files of sql/migrations applied to this database. Maintained by node-pg-migrate.';
comment on column bloud.migrations.id is 'Order of application.';
comment on column bloud.migrations.name is 'Name of the file without .sql.';
comment on column bloud.migrations.run_on is 'Time of application, in the time zone of the session.';

comment on sequence bloud.events_seq is
  'Numbers events. Taken under a lock held until the commit, so that numbers become visible in ascending '
  'order.';
comment on sequence bloud.apps_id_seq is 'Numbers apps.';
comment on sequence bloud.operations_id_seq is 'Numbers operations.';
comment on sequence bloud.rebuilds_id_seq is 'Numbers rebuilds.';
comment on sequence bloud.migrations_id_seq is 'Numbers migrations.';

comment on index bloud.one_active_rebuild is 'At most one rebuild is active.';
comment on index bloud.one_open_operation_per_app is
  'At most one operation of an app is queued or active, and one of each kind without an app.';
comment on index bloud.operations_by_rebuild is 'Finds the operations of a rebuild.';
comment on index bloud.operations_by_app is 'Finds the operations of an app, newest last.';
comment on index bloud.apps_by_choice is 'Finds the apps that use an app, for required_by().';
comment on index bloud.events_by_app is 'Finds the history of an app, for status_at() and bloud.history.';
comment on index bloud.events_by_transition is 'Finds the ends of a phase, for usual_duration().';

comment on trigger guard_app_insert on bloud.apps is 'A new row begins as queued.';
comment on trigger guard_app_update on bloud.apps is
  'A status changes only to a status that status_transitions allows.';
comment on trigger guard_app_delete on bloud.apps is
  'A row is deleted only from a status that status_transitions allows.';
comment on trigger guard_app_identity on bloud.apps is 'Name and id never change.';
comment on trigger append_event on bloud.apps is
  'At the commit: one row in events per transition, and the notification.';
comment on trigger apps_are_not_emptied on bloud.apps is 'No truncate, because it would leave no history.';
comment on trigger history_stays on bloud.events is 'No update, and no delete except by prune().';
comment on trigger history_is_not_emptied on bloud.events is 'No truncate.';
comment on trigger stamp_operation on bloud.operations is
  'Stamps role, origin and time, whatever the insert contains.';
comment on trigger notify_work on bloud.operations is 'Notifies bloud_work.';
comment on trigger notify_epoch on bloud.stream is 'Notifies bloud when the epoch changes.';
comment on trigger notify_log on bloud.rebuild_log is 'Notifies bloud_log.';
comment on trigger notify_rename on bloud.apps is 'Notifies bloud_apps, because a rename is no transition.';
comment on trigger notify_request on bloud.operations is
  'Notifies bloud_apps when cancel, purge or warnings of an operation change.';

comment on column bloud.refusal.sqlstate is 'SQLSTATE of class BL; null: no refusal.';
comment on column bloud.refusal.message is 'The refusal and its reason in a sentence.';
comment on column bloud.refusal.detail is 'Further facts.';
comment on column bloud.refusal.hint is 'Advice on what to do.';

-- A view column with the name of a table column gets the comment of that column; the others are listed below.
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
    order by v.nth desc -- the first source is applied last, so its comment stays
  loop
    execute format('comment on column bloud.%I.%I is %L', v_column.view, v_column.name, v_column.description);
  end loop;
end
$$;

comment on column bloud.queue.position is 'From 1: the next operation.';
comment on column bloud.queue.operation_id is 'The waiting operation.';
comment on column bloud.queue.waiting is 'Time since the request, in whole seconds.';
comment on column bloud.active.operation_id is 'The open operation.';
comment on column bloud.active.elapsed is 'Time since the last transition of the app, in whole seconds.';
comment on column bloud.history.duration is
  'Time the app stayed in to_status; null: it still has it, or was deleted.';
comment on column bloud.history.class is
  'Class of the cause: preflight, configure, evaluate, build, activate, health, timeout, cancelled or '
  'interrupted.';
comment on column bloud.history.message is 'The cause in a sentence.';
comment on column bloud.app_status.elapsed is 'Time since the last transition, in whole seconds.';
comment on column bloud.app_status.usual is
  'Usual duration of the present phase: {p50_seconds, p90_seconds, samples, of}; null below five samples.';
comment on column bloud.app_status.step_seconds is
  'Seconds of each finished step of operation_id: {status: seconds}.';
comment on column bloud.app_status.operation_kind is 'Kind of operation_id: install or uninstall.';
comment on column bloud.app_status.operation_state is
  'State of operation_id: queued, active, succeeded, failed, cancelled or superseded.';
comment on column bloud.app_status.warnings is
  'Parts that the operation could not set up although the app itself could, as sentences.';
comment on column bloud.app_status.queue_position is 'Position in the queue; null: not in the queue.';
comment on column bloud.app_status.required_by is 'Installed apps that need this one.';
comment on column bloud.app_status.protocol is
  'Protocol on its port: http, which a browser can open, or tcp for any other.';
comment on column bloud.app_status.controls is
  'Verbs with the reason for each that is not allowed now: {verb: {allowed, code, reason}}.';
comment on column bloud.probed_apps.overdue is 'True if the deadline has passed.';
comment on column bloud.catalog.status is 'Status of the app; null: it has no row.';
