-- What \d+ says of everything that has no better place for it. Functions and views carry theirs beside their text.

comment on schema bloud is 'The Bloud host agent: which apps this machine runs, who asked, what happened. Begin with: select * from bloud.app_status;';

comment on domain bloud.app_name is 'The name an app has for ever: 1 to 63 of a-z, 0-9 and -, beginning with a letter.';
comment on domain bloud.tcp_port is 'A TCP port.';
comment on domain bloud.cause is 'Why something did not succeed: an object with class and message at least.';
comment on domain bloud.choices is 'Which apps one uses: {slot: [app]}.';
comment on domain bloud.status is 'What may be said of an app; status_transitions has what may follow what.';

comment on table bloud.apps is 'One row per app that is installed, or was and kept its data. Moved by the verbs only; every move is checked and recorded.';
comment on column bloud.apps.id is 'Never changes, never used again.';
comment on column bloud.apps.name is 'The app''s own name, as in the catalog. Never changes.';
comment on column bloud.apps.display_name is 'The name people see. Change it with rename().';
comment on column bloud.apps.version is 'The catalog''s version when it was last requested.';
comment on column bloud.apps.status is 'queued, configuring, building, starting, running, stopping, stopped, error (on, but not healthy) or failed (the install did not succeed).';
comment on column bloud.apps.port is 'TCP port it listens on; null: none.';
comment on column bloud.apps.is_system is 'Belongs to the system: it can''t be uninstalled.';
comment on column bloud.apps.integration_config is 'Which apps fill its slots: {slot: [app]}.';
comment on column bloud.apps.installed_at is 'When it first reached running; null before.';
comment on column bloud.apps.updated_at is 'When its status or its display_name last changed.';
comment on column bloud.apps.status_since is 'When it came to its status.';
comment on column bloud.apps.wanted is 'Whether it should be on after the next rebuild.';
comment on column bloud.apps.operation_id is 'The operation on its way, or the last one.';
comment on column bloud.apps.cause is 'Why it is failed or error: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.apps.deadline is 'When what it waits for is given up.';
comment on column bloud.apps.configured_at is 'When its configuration was first written; null: a request that never got further.';
comment on column bloud.apps.moved_by is 'Who made the last status move, as its event says.';
comment on column bloud.apps.moved_from is 'From where: web, api, psql or agent.';

comment on table bloud.status_transitions is 'Every legal move of an app; a move that is not a row here is refused (BL003), whoever asks.';
comment on column bloud.status_transitions.from_status is 'Null: the row is new.';
comment on column bloud.status_transitions.to_status is 'Null: the row is deleted.';
comment on column bloud.status_transitions.meaning is 'What the move tells.';

comment on table bloud.operations is 'One row per promise to somebody: install this, uninstall that. queued, active, then succeeded, failed, cancelled or superseded.';
comment on column bloud.operations.id is 'Numbered in the order of the requests.';
comment on column bloud.operations.app is 'Name of the app; null for refresh_catalog and rollback.';
comment on column bloud.operations.kind is 'install, uninstall, rename, refresh_catalog or rollback.';
comment on column bloud.operations.state is 'queued, active, succeeded, failed, cancelled, or superseded by a later request.';
comment on column bloud.operations.options is 'As given: {"choices": {slot: app or [apps]}} for an install, {"display_name": text} for a rename, {"from": generation, "to": generation} for a rollback.';
comment on column bloud.operations.purge is 'An uninstall that deletes the data too.';
comment on column bloud.operations.previous_status is 'What the app was when this was requested; null: not there.';
comment on column bloud.operations.requested_for is 'The install that brought this one along as a dependency, or the rollback that this is a part of.';
comment on column bloud.operations.requested_by is 'The role that asked.';
comment on column bloud.operations.origin is 'From where: web (the page), api, psql, or agent (the orchestrator).';
comment on column bloud.operations.rebuild_id is 'The rebuild it rides in, or rode in last.';
comment on column bloud.operations.cause is 'Why it did not succeed: {class, phase, message, hint, exit_code, unit, log}.';
comment on column bloud.operations.warnings is 'What could not be set up although the app itself could, as sentences.';
comment on column bloud.operations.requested_at is 'When it was asked for.';
comment on column bloud.operations.started_at is 'When a rebuild took it.';
comment on column bloud.operations.finished_at is 'When it was over; null while it is queued or active.';
comment on column bloud.operations.cancel_requested_at is 'When a cancel was asked for while it was at work.';

comment on table bloud.rebuilds is 'One row per rebuild of the host. It carries all operations that were waiting; at most one is active.';
comment on column bloud.rebuilds.id is 'Numbered in the order of their start.';
comment on column bloud.rebuilds.state is 'waiting (the other half of a rebuild that failed without naming anybody), active, succeeded or failed.';
comment on column bloud.rebuilds.phase is 'configuring: files are being written. building: the switch runs.';
comment on column bloud.rebuilds.attempt is 'Attempt number of the lease it belongs to; other numbers may not write.';
comment on column bloud.rebuilds.worker is 'Who works on it.';
comment on column bloud.rebuilds.lease_until is 'When its worker is believed dead, unless it renews the lease.';
comment on column bloud.rebuilds.deadline is 'When the switch is stopped and the rebuild given up.';
comment on column bloud.rebuilds.run is 'How often the switch was started for it; above 1: again, after it was lost.';
comment on column bloud.rebuilds.log_offset is 'Up to which byte of the run''s log the lines are in rebuild_log.';
comment on column bloud.rebuilds.log_lines is 'How many lines it has in rebuild_log.';
comment on column bloud.rebuilds.generation_before is 'The host''s generation before the switch.';
comment on column bloud.rebuilds.generation_after is 'The host''s generation after it, as observed.';
comment on column bloud.rebuilds.exit_code is 'Of the switch; null: it had none.';
comment on column bloud.rebuilds.follows is 'The failed rebuild whose innocent operations this one carries on.';
comment on column bloud.rebuilds.rolls_back_to is 'The older generation that it goes back to; null: it makes a new one.';
comment on column bloud.rebuilds.desired is 'The apps that the generation after it has, as configured: {app: {version, port, integration_config}}; null: not known.';
comment on column bloud.rebuilds.started_at is 'When it took its operations.';
comment on column bloud.rebuilds.build_started_at is 'When the switch was first started.';
comment on column bloud.rebuilds.activated_at is 'When the host was seen being switched over; from then on nothing of it is cancelled.';
comment on column bloud.rebuilds.finished_at is 'When it was over.';

comment on table bloud.rebuild_log is 'What the switch printed, line by line. Read it by operation with operation_log().';
comment on column bloud.rebuild_log.rebuild_id is 'Whose line it is.';
comment on column bloud.rebuild_log.line_no is 'From 1, without gaps.';
comment on column bloud.rebuild_log.at is 'When it arrived here.';
comment on column bloud.rebuild_log.line is 'The text, without its end of line.';

comment on table bloud.events is 'History: every status move is exactly one row, written by trigger in commit order. Only appended to, and pruned.';
comment on column bloud.events.seq is 'Grows in the order of the commits, so "seq > last" misses nothing; numbers may be left out.';
comment on column bloud.events.at is 'When it was committed.';
comment on column bloud.events.app is 'Name of the app.';
comment on column bloud.events.from_status is 'Null: the row was new.';
comment on column bloud.events.to_status is 'Null: the row was deleted.';
comment on column bloud.events.operation_id is 'The operation it belongs to.';
comment on column bloud.events.actor is 'The role that acted.';
comment on column bloud.events.origin is 'From where: web (the page), api, psql, or agent (the orchestrator).';
comment on column bloud.events.cause is 'Why, for a move to failed or error.';
comment on column bloud.events.lasted is 'How long the app had been in from_status.';
comment on column bloud.events.app_id is 'Id of the app; one that is removed and installed again has another.';
comment on column bloud.events.display_name is 'The name people saw.';
comment on column bloud.events.version is 'Its version after the move.';
comment on column bloud.events.port is 'The TCP port it answered on.';
comment on column bloud.events.is_system is 'Belongs to the system.';
comment on column bloud.events.integration_config is 'Which apps it used, by slot.';
comment on column bloud.events.installed_at is 'When it first reached running.';
comment on column bloud.events.updated_at is 'When the move was asked for; `at` is its commit.';

comment on table bloud.catalog_cache is 'The catalog files, as the orchestrator last read them. bloud.catalog is for people.';
comment on column bloud.catalog_cache.name is 'The app''s own name.';
comment on column bloud.catalog_cache.yaml_content is 'The file, as it is.';
comment on column bloud.catalog_cache.updated_at is 'When what the file says last changed.';
comment on column bloud.catalog_cache.entry is 'The file, parsed: slots (integrations), healthCheck, npm, image.';
comment on column bloud.catalog_cache.display_name is 'The name people see, unless they rename the app.';
comment on column bloud.catalog_cache.description is 'One sentence: what it is for.';
comment on column bloud.catalog_cache.category is 'Under which it is shown.';
comment on column bloud.catalog_cache.version is 'Which version an install installs.';
comment on column bloud.catalog_cache.port is 'TCP port it will listen on; null: none.';
comment on column bloud.catalog_cache.is_system is 'Belongs to the system: once installed it stays.';
comment on column bloud.catalog_cache.unavailable is 'Why it can''t be installed on this machine; null: it can.';
comment on column bloud.catalog_cache.warnings is 'What is odd in the file, as sentences.';

comment on table bloud.catalog_problems is 'Catalog files that could not be used, and why.';
comment on column bloud.catalog_problems.file is 'Name of the file in the catalog''s folder.';
comment on column bloud.catalog_problems.line is 'Where in the file, if that is known.';
comment on column bloud.catalog_problems.reason is 'What is wrong, in a sentence.';
comment on column bloud.catalog_problems.found_at is 'When it was read.';

comment on table bloud.lease is 'Who may work: one orchestrator at a time. One row.';
comment on column bloud.lease.singleton is 'Keeps it at one row.';
comment on column bloud.lease.attempt is 'Grows with each holder; a holder''s writes carry it, and an old number is refused (BL016).';
comment on column bloud.lease.worker is 'Who holds it, or held it last.';
comment on column bloud.lease.lease_until is 'Until when; null: given back.';

comment on table bloud.removals is 'Who deletes an app, from the deletion to the commit. Empty to all others.';
comment on column bloud.removals.app_id is 'Of the app that was.';
comment on column bloud.removals.actor is 'The role that acted.';
comment on column bloud.removals.origin is 'From where: web, api, psql, or agent.';

comment on table bloud.stream is 'The identity of this history. One row.';
comment on column bloud.stream.singleton is 'Keeps it at one row.';
comment on column bloud.stream.epoch is 'Ids on the stream are <epoch>.<seq>; a restored backup gets another epoch, so that nobody goes on where there is a hole.';
comment on column bloud.stream.pruned_to is 'Events up to this seq may have been forgotten.';

comment on table bloud.migrations is 'Which files of sql/migrations this database has seen. Kept by node-pg-migrate.';
comment on column bloud.migrations.id is 'Order of application.';
comment on column bloud.migrations.name is 'Name of the file, without .sql.';
comment on column bloud.migrations.run_on is 'When it was applied, in the session''s time zone.';

comment on sequence bloud.events_seq is 'Numbers the events. Taken under a lock that is held until the commit, so numbers become visible in their order.';
comment on sequence bloud.apps_id_seq is 'Numbers apps.';
comment on sequence bloud.operations_id_seq is 'Numbers operations.';
comment on sequence bloud.rebuilds_id_seq is 'Numbers rebuilds.';
comment on sequence bloud.migrations_id_seq is 'Numbers migrations.';

comment on index bloud.one_active_rebuild is 'At most one rebuild is active.';
comment on index bloud.one_open_operation_per_app is 'At most one operation of an app is queued or active, and one of each kind that is for no app.';
comment on index bloud.operations_by_rebuild is 'For the operations that ride in a rebuild.';
comment on index bloud.operations_by_app is 'For an app''s operations, newest last.';
comment on index bloud.apps_by_choice is 'For required_by(): which apps use this one.';
comment on index bloud.events_by_app is 'For an app''s history and status_at().';
comment on index bloud.events_by_move is 'For usual_duration().';

comment on trigger guard_app_start on bloud.apps is 'A row begins as queued.';
comment on trigger guard_app_move on bloud.apps is 'A status moves as status_transitions says.';
comment on trigger guard_app_end on bloud.apps is 'A row ends from where status_transitions says.';
comment on trigger guard_app_identity on bloud.apps is 'Name and id never change.';
comment on trigger append_event on bloud.apps is 'At the commit: one row in events for each move, and the bell.';
comment on trigger apps_are_not_emptied on bloud.apps is 'No truncate: it would leave no history.';
comment on trigger history_stays on bloud.events is 'No update, and no delete but prune()''s.';
comment on trigger history_is_not_emptied on bloud.events is 'No truncate.';
comment on trigger stamp_operation on bloud.operations is 'Who asked, from where and when, whatever the insert says.';
comment on trigger ring_work on bloud.operations is 'Rings bloud_work.';
comment on trigger ring_epoch on bloud.stream is 'Rings bloud when this history becomes another one.';
comment on trigger ring_log on bloud.rebuild_log is 'Rings bloud_log.';
comment on trigger ring_rename on bloud.apps is 'Rings bloud_apps: another name is no move.';
comment on trigger ring_request on bloud.operations is 'Rings bloud_apps: what is wanted of a request on its way changed.';

comment on column bloud.refusal.sqlstate is 'Of class BL; null: no refusal.';
comment on column bloud.refusal.message is 'What is refused, and why, in a sentence.';
comment on column bloud.refusal.detail is 'What else there is to know.';
comment on column bloud.refusal.hint is 'What to do.';

-- A view's column means what the column of that name means in the tables it is made of; what is its own follows.
do $$
declare
  v_column record;
begin
  for v_column in
    select v.name as view, a.attname as name, d.description
    from (values ('queue', 'operations', 1), ('active', 'operations', 1), ('active', 'rebuilds', 2), ('active', 'apps', 3),
      ('history', 'events', 1), ('app_status', 'apps', 1), ('app_status', 'operations', 2), ('catalog', 'catalog_cache', 1),
      ('catalog', 'apps', 2), ('desired_apps', 'apps', 1), ('desired_apps', 'catalog_cache', 2), ('probed_apps', 'apps', 1),
      ('probed_apps', 'catalog_cache', 2)) as v (name, source, nth)
    join pg_catalog.pg_attribute a on a.attrelid = ('bloud.' || v.name)::regclass and a.attnum > 0
    join pg_catalog.pg_attribute t on t.attrelid = ('bloud.' || v.source)::regclass and t.attname = a.attname
    join pg_catalog.pg_description d on d.objoid = t.attrelid and d.objsubid = t.attnum
      and d.classoid = 'pg_catalog.pg_class'::regclass
    order by v.nth desc -- the first source has the last word
  loop
    execute format('comment on column bloud.%I.%I is %L', v_column.view, v_column.name, v_column.description);
  end loop;
end
$$;

comment on column bloud.queue.position is 'From 1: the next one.';
comment on column bloud.queue.operation_id is 'The operation that waits.';
comment on column bloud.queue.waiting is 'Since it was asked for, in whole seconds.';
comment on column bloud.active.operation_id is 'The operation on its way.';
comment on column bloud.active.elapsed is 'Since the app came to its status, in whole seconds.';
comment on column bloud.history.duration is 'How long the app stayed in to_status; null: it is still there, or gone.';
comment on column bloud.history.class is 'Class of the cause: preflight, configure, evaluate, build, activate, health, timeout, cancelled or interrupted.';
comment on column bloud.history.message is 'The cause, in a sentence.';
comment on column bloud.app_status.elapsed is 'Since it came to its status, in whole seconds.';
comment on column bloud.app_status.usual is 'How long this phase usually takes: {p50_seconds, p90_seconds, samples, of}; null below five samples.';
comment on column bloud.app_status.spent is 'What each finished step of operation_id took: {status: seconds}.';
comment on column bloud.app_status.operation_kind is 'What operation_id is: install or uninstall.';
comment on column bloud.app_status.operation_state is 'How far operation_id is: queued, active, succeeded, failed, cancelled or superseded.';
comment on column bloud.app_status.warnings is 'What its operation could not set up although the app itself could, as sentences.';
comment on column bloud.app_status.queue_position is 'Its place in the queue; null: it is not in it.';
comment on column bloud.app_status.required_by is 'The installed apps that can''t do without it.';
comment on column bloud.app_status.protocol is 'What it speaks on its port: http, which a browser can open, or tcp, anything else.';
comment on column bloud.app_status.controls is 'Which verbs are allowed now, and for each that is not, why: {verb: {allowed, code, reason}}.';
comment on column bloud.probed_apps.overdue is 'Whether its deadline has passed.';
comment on column bloud.catalog.status is 'Of the app, if it is installed or was.';
