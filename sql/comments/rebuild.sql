-- Comments on the tables of rebuilds and of their output. psql prints them with \d+.

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
comment on column bloud.rebuilds.run_key is
  'Random end of the ids of the runs, <id>-<run>-<run_key>. Null before the first run. A data folder can '
  'have runs of another database whose rebuild has the same id.';
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

comment on sequence bloud.rebuilds_id_seq is 'Sequence of the ids of rebuilds.';

comment on index bloud.rebuilds_open is 'Speeds up has_work(), which looks for open rebuilds.';
comment on index bloud.rebuilds_by_end is
  'Speeds up find_rollback(), which reads the last rebuilds that have succeeded.';
comment on index bloud.rebuilds_by_predecessor is
  'Speeds up the deletion of a rebuild, which looks for rebuilds that repeat its operations.';
comment on index bloud.one_active_rebuild is 'Ensures that at most one rebuild is active.';

comment on trigger notify_log on bloud.rebuild_log is
  'Notifies the channel bloud_log when lines of a rebuild are stored.';
