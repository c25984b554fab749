-- Pairs the database with one data folder: only the worker of that folder may acquire the lease. Adds to the
-- lease the folder of its holder, and to the event history the timeline of the server, which changes when a
-- standby is promoted.

create table bloud.pairing (
  singleton boolean primary key default true,
  database_id text,
  folder_id text,
  machine text,
  paired_at timestamptz,
  refused_folder text,
  refused_machine text,
  refused_database text,
  refused_at timestamptz,
  constraint pairing_has_one_row check (singleton),
  constraint paired_at_a_time check ((folder_id is null) = (paired_at is null)),
  constraint paired_database_has_an_id check ((folder_id is null) = (database_id is null)),
  constraint refused_at_a_time check ((refused_folder is null) = (refused_at is null))
);
insert into bloud.pairing default values;

alter table bloud.lease add column folder_id text;

alter table bloud.stream add column timeline text;
update bloud.stream set timeline = left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8);

-- Drops uninstall(), because `create or replace function` can't remove the default of its argument purge.
drop function if exists bloud.uninstall(text, boolean);
