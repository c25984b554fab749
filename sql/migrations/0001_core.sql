-- The tables of the system. A file here is frozen once it has landed; what can be replaced (functions, triggers,
-- views, grants) lives beside this folder and is applied anew on every deploy.
--
-- Nouns:
--   app         one installed (or once installed) application, and its status
--   operation   one promise to somebody: install this, uninstall that
--   rebuild     one run of the host's switch, which carries all operations that were waiting
--   event       one status move, written by trigger, in commit order
--   transition  one legal move; a move that is not a row here does not happen

create table bloud.status_transitions (
  from_status text,
  to_status text,
  meaning text not null,
  constraint one_row_per_move unique nulls not distinct (from_status, to_status),
  constraint a_move_has_an_end check (from_status is not null or to_status is not null)
);

insert into bloud.status_transitions (from_status, to_status, meaning) values
  (null, 'queued', 'requested for the first time'),
  ('queued', 'configuring', 'its turn has come: configuration is being written'),
  ('queued', 'failed', 'refused by a check before the start, or cancelled'),
  ('queued', 'stopped', 'cancelled; it was installed before and its data is kept'),
  ('queued', null, 'withdrawn before it ever got further'),
  ('configuring', 'building', 'configuration is written: the host is being rebuilt'),
  ('configuring', 'failed', 'configuration could not be written, or cancelled'),
  ('building', 'starting', 'the host was rebuilt: waiting for the health check'),
  ('building', 'failed', 'the rebuild did not succeed, or cancelled'),
  ('starting', 'running', 'the health check passed'),
  ('starting', 'error', 'the health check failed or never answered in time'),
  ('starting', 'stopping', 'removal requested while it was starting'),
  ('running', 'error', 'the health check failed'),
  ('running', 'stopping', 'removal requested'),
  ('error', 'running', 'recovered: the health check passes again'),
  ('error', 'queued', 'requested again'),
  ('error', 'stopping', 'removal requested'),
  ('failed', 'queued', 'requested again'),
  ('failed', 'stopping', 'removal requested'),
  ('failed', null, 'purged'),
  ('stopping', 'stopped', 'removed; its data is kept'),
  ('stopping', 'error', 'the removing rebuild failed and the app is still on'),
  ('stopping', null, 'removed and purged'),
  ('stopped', 'queued', 'requested again'),
  ('stopped', null, 'purged');

create table bloud.stream (
  singleton boolean primary key default true,
  epoch text not null,
  pruned_to bigint not null default 0,
  constraint stream_has_one_row check (singleton)
);
insert into bloud.stream (epoch) values (left(replace(gen_random_uuid()::text, '-', ''), 12));

create table bloud.lease (
  singleton boolean primary key default true,
  attempt bigint not null default 0,
  worker text,
  lease_until timestamptz,
  constraint lease_has_one_row check (singleton)
);
insert into bloud.lease default values;

create table bloud.catalog_cache (
  name text primary key,
  yaml_content text not null,
  updated_at timestamptz not null,
  entry jsonb not null,
  display_name text not null,
  description text not null,
  category text not null,
  version text not null,
  port integer,
  is_system boolean not null,
  unavailable text,
  warnings jsonb not null default '[]',
  constraint name_is_plain check (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  constraint port_is_a_tcp_port check (port between 1 and 65535)
);

create table bloud.catalog_problems (
  file text primary key,
  line integer,
  reason text not null,
  found_at timestamptz not null
);

create table bloud.rebuilds (
  id bigint generated always as identity primary key,
  state text not null default 'active',
  phase text not null default 'configuring',
  attempt bigint not null,
  worker text not null,
  lease_until timestamptz not null,
  deadline timestamptz not null,
  run integer not null default 0,
  log_offset bigint not null default 0,
  log_lines bigint not null default 0,
  generation_before text,
  generation_after text,
  exit_code integer,
  follows bigint references bloud.rebuilds (id),
  rolls_back_to text,
  desired jsonb,
  started_at timestamptz not null,
  build_started_at timestamptz,
  activated_at timestamptz,
  finished_at timestamptz,
  constraint rebuild_state_is_known check (state in ('waiting', 'active', 'succeeded', 'failed')),
  constraint rebuild_phase_is_known check (phase in ('configuring', 'building')),
  constraint finished_when_over check ((finished_at is null) = (state in ('waiting', 'active')))
);
create unique index one_active_rebuild on bloud.rebuilds ((true)) where state = 'active';

create table bloud.rebuild_log (
  rebuild_id bigint not null references bloud.rebuilds (id) on delete cascade,
  line_no bigint not null,
  at timestamptz not null,
  line text not null,
  primary key (rebuild_id, line_no)
);

create table bloud.operations (
  id bigint generated always as identity primary key,
  app text,
  kind text not null,
  state text not null default 'queued',
  options jsonb not null default '{}',
  purge boolean not null default false,
  previous_status text,
  requested_for bigint references bloud.operations (id),
  requested_by text not null,
  origin text not null,
  rebuild_id bigint references bloud.rebuilds (id),
  cause jsonb,
  warnings jsonb not null default '[]',
  requested_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  cancel_requested_at timestamptz,
  constraint kind_is_known check (kind in ('install', 'uninstall', 'rename', 'refresh_catalog', 'rollback')),
  constraint only_what_is_for_all_has_no_app check ((app is null) = (kind in ('refresh_catalog', 'rollback'))),
  constraint state_is_known check (state in ('queued', 'active', 'succeeded', 'failed', 'cancelled', 'superseded')),
  constraint origin_is_known check (origin in ('web', 'psql', 'api', 'agent')),
  constraint finished_when_over check ((finished_at is null) = (state in ('queued', 'active'))),
  constraint active_in_a_rebuild check (state <> 'active' or (rebuild_id is not null and started_at is not null)),
  constraint failure_has_a_cause check (state <> 'failed' or cause is not null),
  constraint only_an_uninstall_purges check (not purge or kind = 'uninstall')
);
create unique index one_open_operation_per_app on bloud.operations (app, (case when app is null then kind end)) nulls not distinct
  where state in ('queued', 'active');
create index operations_by_rebuild on bloud.operations (rebuild_id);
create index operations_by_app on bloud.operations (app, id);

create table bloud.apps (
  id bigint generated always as identity primary key,
  name text not null unique,
  display_name text not null,
  version text not null,
  status text not null,
  port integer,
  is_system boolean not null default false,
  integration_config jsonb not null default '{}',
  installed_at timestamptz,
  updated_at timestamptz not null default now(),
  status_since timestamptz not null default now(),
  wanted boolean not null default false,
  operation_id bigint references bloud.operations (id),
  cause jsonb,
  deadline timestamptz,
  configured_at timestamptz,
  moved_by text,
  moved_from text,
  constraint name_is_plain check (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  constraint port_is_a_tcp_port check (port between 1 and 65535),
  constraint status_is_known check (status in
    ('queued', 'configuring', 'building', 'starting', 'running', 'stopping', 'stopped', 'error', 'failed'))
);

create index apps_by_choice on bloud.apps using gin (jsonb_path_query_array(integration_config, '$.*[*]'));

create sequence bloud.events_seq as bigint;
create table bloud.events (
  seq bigint primary key,
  at timestamptz not null,
  app text not null,
  from_status text,
  to_status text,
  operation_id bigint,
  actor text not null,
  origin text not null,
  cause jsonb,
  lasted interval,
  data jsonb not null
);
create index events_by_app on bloud.events (app, seq);
create index events_by_move on bloud.events (from_status, to_status, seq);
