-- Comments on the tables, types and triggers of apps. psql prints them with \d+.

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
  'True for a system app, for example postgres, which can''t be uninstalled.';
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
comment on column bloud.apps.restart_series is
  'Id of the start of the app after which restarts are counted, given by the host. Null without a restart.';
comment on column bloud.apps.restarts is
  'Number of restarts after a crash since that start that events have recorded.';
comment on column bloud.apps.status_actor is 'PostgreSQL role that last changed the status.';
comment on column bloud.apps.status_origin is
  'Origin of the last change of the status: web (page), api, agent (orchestrator) or psql (others).';

comment on table bloud.status_transitions is
  'Allowed changes of the status of an app, one per row. A trigger refuses all other changes with error '
  'BL003.';
comment on column bloud.status_transitions.from_status is
  'Status before the change. Null if the change inserts the app.';
comment on column bloud.status_transitions.to_status is
  'Status after the change. Null if the change deletes the app.';
comment on column bloud.status_transitions.meaning is 'Event that causes the change, in words.';

comment on table bloud.deletions is
  'PostgreSQL role and origin of a deletion, kept until append_event() writes the event of the deletion at '
  'the commit.';
comment on column bloud.deletions.app_id is 'Id of the deleted app.';
comment on column bloud.deletions.actor is 'PostgreSQL role that deleted the app.';
comment on column bloud.deletions.origin is
  'Origin of the deletion: web (page), api, agent (orchestrator) or psql (others).';

comment on sequence bloud.apps_id_seq is 'Sequence of the ids of apps.';

comment on index bloud.apps_by_choice is
  'Speeds up required_by(), which finds the apps that depend on an app.';
comment on index bloud.apps_by_port is
  'Speeds up refusal_of_install(), which looks for another app with the same port.';

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
comment on trigger notify_rename on bloud.apps is
  'Notifies the channel bloud_apps when a display name changes.';
