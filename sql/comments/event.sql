-- Comments on the tables of the event history. psql prints them with \d+.

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
  'Origin of the change: web (page), api, agent (orchestrator) or psql (others).';
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

comment on table bloud.stream is 'State of the event history (bloud.events), in a single row.';
comment on column bloud.stream.singleton is
  'Primary key that is always true, so that the table has at most one row.';
comment on column bloud.stream.epoch is
  'Random id of the event history. After the restore of a backup or the promotion of a standby the history '
  'gets a new id.';
comment on column bloud.stream.pruned_to is
  'Number (seq) of the newest event that prune() has deleted, or 0.';
comment on column bloud.stream.timeline is
  'Timeline of the PostgreSQL server, as in the names of its WAL files. A promoted standby has another one.';

comment on column bloud.stream.rebuilds_pruned is
  'True if prune() has deleted the first rebuild that succeeded. Before that one, the machine had no app.';

comment on table bloud.invariant_check is
  'Result of the last check of the conditions that must hold after every commit, in a single row. The worker '
  'checks them every few minutes; check_invariants() checks all at once.';
comment on column bloud.invariant_check.singleton is
  'Primary key that is always true, so that the table has at most one row.';
comment on column bloud.invariant_check.checked_at is 'Time of the last check, or null before the first.';
comment on column bloud.invariant_check.whole_at is
  'Time at which a check of all events ended last, or null before the first.';
comment on column bloud.invariant_check.checked_to is
  'Number of the newest event that was checked. The next check continues there.';
comment on column bloud.invariant_check.violations is
  'Violations that were found: [{invariant, app, detail}]. Empty if all conditions hold.';

comment on sequence bloud.events_seq is 'Sequence of event numbers (column seq of bloud.events).';

comment on index bloud.events_by_app is
  'Speeds up queries for the events of an app, for example in status_at().';
comment on index bloud.events_by_transition is
  'Speeds up usual_duration(), which reads how long the last changes from one status to another took.';

comment on index bloud.events_by_restart is
  'Speeds up recent_restarts(), which reads the events of restarts.';

comment on trigger history_stays on bloud.events is
  'Refuses every change or deletion of an event, except a deletion by prune().';
comment on trigger history_is_not_emptied on bloud.events is
  'Refuses a truncate, because only prune() may delete events.';
comment on trigger notify_epoch on bloud.stream is
  'Notifies the channel bloud when the event history gets a new id (epoch).';
