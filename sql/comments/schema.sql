-- Comments on the schema and the table of migrations. psql prints them with \d+. Every object of the schema
-- needs a comment (tests/sql/comments.test.ts). Functions and views have theirs next to their definitions.

comment on schema bloud is
  'Tables, views and functions of the Bloud host agent. The view bloud.app_status is a good start.';

comment on table bloud.migrations is
  'Migrations (files of sql/migrations) that were applied to this database. The rows are written by '
  'node-pg-migrate.';
comment on column bloud.migrations.id is 'Id of the migration.';
comment on column bloud.migrations.name is 'Name of the migration file without .sql.';
comment on column bloud.migrations.run_on is
  'Time at which the migration was applied, in the time zone of the session.';

comment on sequence bloud.migrations_id_seq is 'Sequence of the ids of migrations.';
