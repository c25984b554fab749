-- Adds the tables that replace advisory locks, because every login may take an advisory lock, and the reports
-- of the workers (orchestrator processes).

create table bloud.lock_events ();
create table bloud.lock_verbs ();
create table bloud.lock_keys (
  key text primary key
);
insert into bloud.lock_keys (key)
select k.prefix || n.name
from (select c.name from bloud.catalog_cache c union select a.name from bloud.apps a) n
cross join (values ('app:'), ('dependency:')) as k (prefix);
insert into bloud.lock_keys (key) select distinct 'port:' || c.port from bloud.catalog_cache c
where c.port is not null;

create table bloud.workers (
  worker text primary key,
  reported_at timestamptz not null,
  clock_ahead interval not null,
  problems jsonb not null default '[]',
  constraint problems_are_a_list check (jsonb_typeof(problems) = 'array')
);
