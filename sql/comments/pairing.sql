-- Comments on the table of the pairing. psql prints them with \d+.

comment on table bloud.pairing is
  'Data folder whose orchestrator (worker process) may work with this database, in a single row.';
comment on column bloud.pairing.singleton is
  'Primary key that is always true, so that the table has at most one row.';
comment on column bloud.pairing.database_id is
  'Random id of this database, which the data folder stores too. Null until the first orchestrator starts.';
comment on column bloud.pairing.folder_id is
  'Id of the data folder, from its file pairing.json. Null until the first orchestrator starts.';
comment on column bloud.pairing.machine is 'Host name of the machine with the data folder.';
comment on column bloud.pairing.paired_at is
  'Time of the first start of the orchestrator, or of the last adopt().';
comment on column bloud.pairing.refused_folder is
  'Id of the data folder whose orchestrator was refused last, or null.';
comment on column bloud.pairing.refused_machine is
  'Host name of the machine whose orchestrator was refused last.';
comment on column bloud.pairing.refused_database is
  'Id of the database to which the refused data folder belongs, or null.';
comment on column bloud.pairing.refused_at is 'Time at which an orchestrator was refused last, or null.';
