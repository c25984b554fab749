-- Comments on the table of operations. psql prints them with \d+.

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
  'Origin of the request: web (page), api, agent (orchestrator) or psql (others).';
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

comment on sequence bloud.operations_id_seq is 'Sequence of the ids of operations.';

comment on index bloud.one_open_operation_per_app is
  'Ensures that each app has at most one open (queued or active) operation. Operations without an app, such '
  'as a rollback, are open at most once per kind.';
comment on index bloud.operations_by_rebuild is 'Speeds up queries for the operations of a rebuild.';
comment on index bloud.operations_by_request is
  'Speeds up the deletion of an operation, which looks for operations that were added for it.';
comment on index bloud.operations_by_app is 'Speeds up queries for the operations of an app.';

comment on trigger stamp_operation on bloud.operations is
  'Sets the role, origin and time of a new operation from the session, so that no caller can forge these '
  'values.';
comment on trigger notify_work on bloud.operations is
  'Notifies the channel bloud_work when an operation is inserted or changed.';
comment on trigger notify_request on bloud.operations is
  'Notifies the channel bloud_apps when an operation gets a cancel request, a request to delete data, or a '
  'warning.';
