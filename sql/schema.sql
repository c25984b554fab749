-- The tables as they are today, after all migrations. Generated: do not edit, run `npm run schema`.
-- tests/sql/schema.test.ts compares this file with a migrated database. The files in migrations/ are history:
-- each was written once and is frozen. Functions, triggers, views and grants stand in their own files. Only
-- the first sentence of a comment is shown; \d+ in psql prints all of it.

-- Name of an app: 1 to 63 characters from a-z, 0-9 and -, beginning with a letter.
create domain bloud.app_name as text
  constraint name_is_plain CHECK ((VALUE ~ '^[a-z][a-z0-9-]{0,62}$'::text));

-- Recorded reason for a failure: a JSON object with at least the fields class and message.
create domain bloud.cause as jsonb
  constraint cause_has_class_and_message CHECK (((VALUE IS NULL) OR COALESCE(((jsonb_typeof((VALUE ->
    'message'::text)) = 'string'::text) AND ((VALUE ->> 'class'::text) = ANY (ARRAY['preflight'::text,
    'configure'::text, 'evaluate'::text, 'build'::text, 'activate'::text, 'health'::text, 'timeout'::text,
    'cancelled'::text, 'interrupted'::text]))), false)));

-- Apps on which an app depends: {slot: [app]}.
create domain bloud.choices as jsonb
  constraint choices_are_by_slot CHECK ((jsonb_typeof(VALUE) = 'object'::text));

-- Status of an app, for example running.
create domain bloud.status as text
  constraint status_is_known CHECK ((VALUE = ANY (ARRAY['queued'::text, 'configuring'::text,
    'building'::text, 'starting'::text, 'running'::text, 'stopping'::text, 'stopped'::text, 'error'::text,
    'failed'::text])));

-- TCP port, from 1 to 65535.
create domain bloud.tcp_port as integer
  constraint port_is_a_tcp_port CHECK (((VALUE >= 1) AND (VALUE <= 65535)));

-- Reason why an action such as an install is refused: an error code beginning with BL, message, detail and
-- hint.
create type bloud.refusal as (
  sqlstate text,
  message text,
  detail text,
  hint text
);

-- Sequence of event numbers (column seq of bloud.events).
create sequence bloud.events_seq;

-- One row per app that is installed, that waits for its install, or whose data was kept by an uninstall.
create table bloud.apps (
  id bigint generated always as identity not null, -- Id of the app.
  name bloud.app_name not null, -- Name of the app in the catalog, for example node-red.
  display_name text not null, -- Name that the web page shows.
  version text not null, -- Version of the app, copied from the catalog when the install is requested.
  status text not null, -- Status of the app, for example running.
  port bloud.tcp_port, -- TCP port on which the app listens.
  -- True for a system app, for example postgres, which can't be uninstalled.
  is_system boolean not null default false,
  -- Apps on which this app depends, for example {"database": ["postgres"]}.
  integration_config bloud.choices not null default '{}'::jsonb,
  -- Time at which the app passed its health check for the first time, or null.
  installed_at timestamp with time zone,
  -- Time of the last change of the status or display name.
  updated_at timestamp with time zone not null default now(),
  status_since timestamp with time zone not null default now(), -- Time of the last change of the status.
  wanted boolean not null default false, -- True if the next rebuild of the machine includes the app.
  operation_id bigint, -- Id of the newest install or uninstall of the app.
  -- Reason for the status failed or error: {class, phase, message, hint, exit_code, unit, log}.
  cause bloud.cause,
  -- Time limit for the next change of the status, after which the open operation fails.
  deadline timestamp with time zone,
  configured_at timestamp with time zone, -- Time at which a rebuild included the app for the first time.
  status_actor text, -- PostgreSQL role that last changed the status.
  -- Origin of the last change of the status: web (page), api, agent (orchestrator) or psql (others).
  status_origin text,
  restart_series text, -- Id of the start of the app after which restarts are counted, given by the host.
  -- Number of restarts after a crash since that start that events have recorded.
  restarts integer not null default 0,
  constraint apps_pkey PRIMARY KEY (id),
  constraint apps_name_key UNIQUE (name),
  constraint apps_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES bloud.operations(id),
  constraint status_is_known CHECK (((status)::bloud.status IS NOT NULL))
);
-- Speeds up required_by(), which finds the apps that depend on an app.
CREATE INDEX apps_by_choice ON bloud.apps USING gin (jsonb_path_query_array((integration_config)::jsonb,
  '$.*[*]'::jsonpath));
-- Speeds up refusal_of_install(), which looks for another app with the same port.
CREATE INDEX apps_by_port ON bloud.apps USING btree (port);

-- Apps that can be installed, one per row.
create table bloud.catalog_cache (
  name bloud.app_name not null, -- Name of the app.
  yaml_content text not null, -- Text of the catalog file, which is a YAML file.
  updated_at timestamp with time zone not null, -- Time at which the row was last changed.
  entry jsonb not null, -- Content of the catalog file as JSON.
  display_name text not null, -- Name that the web page shows.
  description text not null, -- Purpose of the app in one sentence.
  category text not null, -- Category of the app, for example identity.
  version text not null, -- Version of the app that the next install uses.
  port bloud.tcp_port, -- TCP port on which the app listens, or null.
  is_system boolean not null, -- True for a system app, for example postgres, which can't be uninstalled.
  unavailable text, -- Reason why the app can't be installed on this machine, or null.
  warnings jsonb not null default '[]'::jsonb, -- Sentences about probable mistakes in the catalog file.
  constraint catalog_cache_pkey PRIMARY KEY (name)
);

-- Catalog files that can't be used, each with the reason.
create table bloud.catalog_problems (
  file text not null, -- Name of the catalog file, without the folder.
  line integer, -- Number of the line that causes the problem, or null.
  reason text not null, -- Description of the problem in one sentence.
  -- Time at which the orchestrator (worker process) found the problem.
  found_at timestamp with time zone not null,
  constraint catalog_problems_pkey PRIMARY KEY (file)
);

-- PostgreSQL role and origin of a deletion, kept until append_event() writes the event of the deletion at
-- the commit.
create table bloud.deletions (
  app_id bigint not null, -- Id of the deleted app.
  actor text not null, -- PostgreSQL role that deleted the app.
  origin text not null, -- Origin of the deletion: web (page), api, agent (orchestrator) or psql (others).
  constraint deletions_pkey PRIMARY KEY (app_id)
);

-- History of all apps: one row per change of a status, numbered in the order of the commits.
create table bloud.events (
  seq bigint not null, -- Event number.
  at timestamp with time zone not null, -- Time at which the transaction of the change was committed.
  app text not null, -- Name of the app.
  from_status text, -- Status before the change.
  to_status text, -- Status after the change.
  operation_id bigint, -- Id of the newest install or uninstall of the app at that time.
  actor text not null, -- PostgreSQL role that made the change.
  origin text not null, -- Origin of the change: web (page), api, agent (orchestrator) or psql (others).
  cause jsonb, -- Reason for a change to failed or error, as a JSON object, or null.
  lasted interval, -- Time that the app had spent in from_status.
  app_id bigint not null, -- Id of the app.
  display_name text not null, -- Display name of the app after the change.
  version text not null, -- Version of the app after the change.
  port integer, -- TCP port of the app after the change, or null.
  is_system boolean not null, -- True for a system app, which can't be uninstalled.
  -- Apps on which the app depends after the change, for example {"database": ["postgres"]}.
  integration_config jsonb not null,
  -- Time at which the app passed its health check for the first time, or null.
  installed_at timestamp with time zone,
  -- Time at which the status was changed, before the transaction was committed (column at).
  updated_at timestamp with time zone not null,
  constraint events_pkey PRIMARY KEY (seq)
);
-- Speeds up queries for the events of an app, for example in status_at().
CREATE INDEX events_by_app ON bloud.events USING btree (app, seq);
-- Speeds up recent_restarts(), which reads the events of restarts.
CREATE INDEX events_by_restart ON bloud.events USING btree (app, seq) WHERE (from_status = to_status);
-- Speeds up usual_duration(), which reads how long the last changes from one status to another took.
CREATE INDEX events_by_transition ON bloud.events USING btree (from_status, to_status, seq) WHERE
  (from_status = ANY (ARRAY['queued'::text, 'configuring'::text, 'building'::text, 'starting'::text,
  'stopping'::text]));

-- Result of the last check of the conditions that must hold after every commit, in a single row.
create table bloud.invariant_check (
  -- Primary key that is always true, so that the table has at most one row.
  singleton boolean not null default true,
  checked_at timestamp with time zone, -- Time of the last check, or null before the first.
  -- Time at which a check of all events ended last, or null before the first.
  whole_at timestamp with time zone,
  checked_to bigint not null default 0, -- Number of the newest event that was checked.
  violations jsonb not null default '[]'::jsonb, -- Violations that were found: [{invariant, app, detail}].
  constraint invariant_check_pkey PRIMARY KEY (singleton),
  constraint invariant_check_has_one_row CHECK (singleton),
  constraint violations_are_a_list CHECK ((jsonb_typeof(violations) = 'array'::text))
);

-- Lease: a lock with a time limit that lets only one worker (orchestrator process) change the machine.
create table bloud.lease (
  -- Primary key that is always true, so that the table has at most one row.
  singleton boolean not null default true,
  attempt bigint not null default 0, -- Number of times that a worker has acquired the lease.
  worker text, -- Name of the worker (orchestrator process) that holds or last held the lease.
  lease_until timestamp with time zone, -- Time at which the lease expires.
  folder_id text, -- Id of the data folder of the worker, from its file pairing.json.
  constraint lease_pkey PRIMARY KEY (singleton),
  constraint lease_has_one_row CHECK (singleton)
);

-- Empty table that is locked while event numbers are given out, until the transaction is committed.
create table bloud.lock_events (
);

-- Rows that serve as locks of an app, a dependency or a port.
create table bloud.lock_keys (
  key text not null, -- Name of the lock: app:<name>, dependency:<name> or port:<number>.
  constraint lock_keys_pkey PRIMARY KEY (key)
);

-- Empty table that every verb (install, uninstall …) locks in a shared mode, and rollback() alone.
create table bloud.lock_verbs (
);

-- Migrations (files of sql/migrations) that were applied to this database.
create table bloud.migrations (
  id integer not null default nextval('bloud.migrations_id_seq'::regclass), -- Id of the migration.
  name character varying(255) not null, -- Name of the migration file without .sql.
  -- Time at which the migration was applied, in the time zone of the session.
  run_on timestamp without time zone not null,
  constraint migrations_pkey PRIMARY KEY (id)
);

-- One row per operation (a requested install, uninstall, rename, refresh of the catalog or rollback).
create table bloud.operations (
  id bigint generated always as identity not null, -- Id of the operation.
  app text, -- Name of the app.
  kind text not null, -- Kind of operation: install, uninstall, rename, refresh_catalog or rollback.
  -- State of the operation: queued, active, succeeded, failed, cancelled, or superseded (an uninstall ended
  -- the queued install).
  state text not null default 'queued'::text,
  -- Arguments of the operation: {choices} of an install, {display_name} of a rename, or {from, to}
  -- (generations) of a rollback.
  options jsonb not null default '{}'::jsonb,
  purge boolean not null default false, -- True for an uninstall that also deletes the data of the app.
  previous_status text, -- Status of the app when an install or uninstall was requested.
  requested_for bigint, -- Id of the install or rollback that added this operation.
  requested_by text not null, -- PostgreSQL role that requested the operation.
  origin text not null, -- Origin of the request: web (page), api, agent (orchestrator) or psql (others).
  rebuild_id bigint, -- Id of the newest rebuild that includes the operation, or null.
  -- Reason why the operation failed or was cancelled: {class, phase, message, hint, exit_code, unit, log}.
  cause bloud.cause,
  -- Sentences for the operator, for example about a part of the app that could not be set up.
  warnings jsonb not null default '[]'::jsonb,
  requested_at timestamp with time zone not null, -- Time at which the operation was requested.
  started_at timestamp with time zone, -- Time at which the first rebuild with this operation began, or null.
  finished_at timestamp with time zone, -- Time at which the operation ended, or null.
  -- Time at which the cancel of the active operation was requested, or null.
  cancel_requested_at timestamp with time zone,
  constraint operations_pkey PRIMARY KEY (id),
  constraint operations_rebuild_id_fkey FOREIGN KEY (rebuild_id) REFERENCES bloud.rebuilds(id),
  constraint operations_requested_for_fkey FOREIGN KEY (requested_for) REFERENCES bloud.operations(id),
  constraint active_in_a_rebuild CHECK (((state <> 'active'::text) OR ((rebuild_id IS NOT NULL) AND
    (started_at IS NOT NULL)))),
  constraint failure_has_a_cause CHECK (((state <> 'failed'::text) OR (cause IS NOT NULL))),
  constraint finished_when_over CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['queued'::text,
    'active'::text])))),
  constraint kind_is_known CHECK ((kind = ANY (ARRAY['install'::text, 'uninstall'::text, 'rename'::text,
    'refresh_catalog'::text, 'rollback'::text]))),
  constraint only_an_uninstall_purges CHECK (((NOT purge) OR (kind = 'uninstall'::text))),
  constraint only_host_operations_have_no_app CHECK (((app IS NULL) = (kind = ANY
    (ARRAY['refresh_catalog'::text, 'rollback'::text])))),
  constraint origin_is_known CHECK ((origin = ANY (ARRAY['web'::text, 'psql'::text, 'api'::text,
    'agent'::text]))),
  constraint state_is_known CHECK ((state = ANY (ARRAY['queued'::text, 'active'::text, 'succeeded'::text,
    'failed'::text, 'cancelled'::text, 'superseded'::text])))
);
-- Ensures that each app has at most one open (queued or active) operation.
CREATE UNIQUE INDEX one_open_operation_per_app ON bloud.operations USING btree (app, (
CASE
    WHEN (app IS NULL) THEN kind
    ELSE NULL::text
END)) NULLS NOT DISTINCT WHERE (state = ANY (ARRAY['queued'::text, 'active'::text]));
-- Speeds up queries for the operations of an app.
CREATE INDEX operations_by_app ON bloud.operations USING btree (app, id);
-- Speeds up queries for the operations of a rebuild.
CREATE INDEX operations_by_rebuild ON bloud.operations USING btree (rebuild_id);
-- Speeds up the deletion of an operation, which looks for operations that were added for it.
CREATE INDEX operations_by_request ON bloud.operations USING btree (requested_for) WHERE (requested_for IS
  NOT NULL);

-- Data folder whose orchestrator (worker process) may work with this database, in a single row.
create table bloud.pairing (
  -- Primary key that is always true, so that the table has at most one row.
  singleton boolean not null default true,
  database_id text, -- Random id of this database, which the data folder stores too.
  folder_id text, -- Id of the data folder, from its file pairing.json.
  machine text, -- Host name of the machine with the data folder.
  paired_at timestamp with time zone, -- Time of the first start of the orchestrator, or of the last adopt().
  refused_folder text, -- Id of the data folder whose orchestrator was refused last, or null.
  refused_machine text, -- Host name of the machine whose orchestrator was refused last.
  refused_database text, -- Id of the database to which the refused data folder belongs, or null.
  refused_at timestamp with time zone, -- Time at which an orchestrator was refused last, or null.
  constraint pairing_pkey PRIMARY KEY (singleton),
  constraint paired_at_a_time CHECK (((folder_id IS NULL) = (paired_at IS NULL))),
  constraint paired_database_has_an_id CHECK (((folder_id IS NULL) = (database_id IS NULL))),
  constraint pairing_has_one_row CHECK (singleton),
  constraint refused_at_a_time CHECK (((refused_folder IS NULL) = (refused_at IS NULL)))
);

-- Output of the switch command (`nixos-rebuild switch`) of each rebuild, one line per row.
create table bloud.rebuild_log (
  rebuild_id bigint not null, -- Id of the rebuild.
  line_no bigint not null, -- Number of the line within the output of the rebuild, beginning with 1.
  at timestamp with time zone not null, -- Time at which the line was stored in this table.
  line text not null, -- Text of the line, without the line break.
  constraint rebuild_log_pkey PRIMARY KEY (rebuild_id, line_no),
  constraint rebuild_log_rebuild_id_fkey FOREIGN KEY (rebuild_id) REFERENCES bloud.rebuilds(id) ON DELETE
    CASCADE
);

-- One row per rebuild.
create table bloud.rebuilds (
  id bigint generated always as identity not null, -- Id of the rebuild.
  -- State of the rebuild: active, succeeded, failed, or waiting for the end of another rebuild.
  state text not null default 'active'::text,
  -- Phase of the rebuild: configuring (files of the apps are written) or building (the switch command, for
  -- example `nixos-rebuild switch`, runs).
  phase text not null default 'configuring'::text,
  -- Attempt number (fencing token of the lease) of the worker that performs the rebuild.
  attempt bigint not null,
  worker text not null, -- Name of the worker (orchestrator process) that performs the rebuild.
  -- Time at which the lease of the worker expires, unless the worker renews the lease.
  lease_until timestamp with time zone not null,
  deadline timestamp with time zone not null, -- Time limit of the rebuild.
  -- Number of times that the switch command (`nixos-rebuild switch`) was started for this rebuild.
  run integer not null default 0,
  -- Number of bytes of the switch command's output that are already stored in bloud.rebuild_log.
  log_offset bigint not null default 0,
  -- Number of lines of this rebuild that were stored in bloud.rebuild_log.
  log_lines bigint not null default 0,
  -- Generation (complete configuration of the machine) that was active before the rebuild, or null.
  generation_before text,
  -- Generation (complete configuration of the machine) that was active after the rebuild, or null.
  generation_after text,
  exit_code integer, -- Exit code of the switch command (`nixos-rebuild switch`), or null if not known.
  follows bigint, -- Id of the failed rebuild whose remaining operations this rebuild repeats, or null.
  -- For a rollback, the generation (earlier configuration of the machine) to activate again.
  rolls_back_to text,
  desired jsonb, -- Apps of the new configuration, {app: {version, port, integration_config}}.
  started_at timestamp with time zone not null, -- Time at which the rebuild became active.
  -- Time at which the switch command (`nixos-rebuild switch`) was first started, or null.
  build_started_at timestamp with time zone,
  -- Time at which the machine began to activate the new configuration, or null.
  activated_at timestamp with time zone,
  finished_at timestamp with time zone, -- Time at which the rebuild ended, or null.
  run_key text, -- Random end of the ids of the runs, <id>-<run>-<run_key>.
  constraint rebuilds_pkey PRIMARY KEY (id),
  constraint rebuilds_follows_fkey FOREIGN KEY (follows) REFERENCES bloud.rebuilds(id),
  constraint finished_when_over CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['waiting'::text,
    'active'::text])))),
  constraint rebuild_phase_is_known CHECK ((phase = ANY (ARRAY['configuring'::text, 'building'::text]))),
  constraint rebuild_state_is_known CHECK ((state = ANY (ARRAY['waiting'::text, 'active'::text,
    'succeeded'::text, 'failed'::text])))
);
-- Ensures that at most one rebuild is active.
CREATE UNIQUE INDEX one_active_rebuild ON bloud.rebuilds USING btree ((true)) WHERE (state =
  'active'::text);
-- Speeds up find_rollback(), which reads the last rebuilds that have succeeded.
CREATE INDEX rebuilds_by_end ON bloud.rebuilds USING btree (finished_at, id) WHERE (state =
  'succeeded'::text);
-- Speeds up the deletion of a rebuild, which looks for rebuilds that repeat its operations.
CREATE INDEX rebuilds_by_predecessor ON bloud.rebuilds USING btree (follows) WHERE (follows IS NOT NULL);
-- Speeds up has_work(), which looks for open rebuilds.
CREATE INDEX rebuilds_open ON bloud.rebuilds USING btree (id) WHERE (state = ANY (ARRAY['active'::text,
  'waiting'::text]));

-- Allowed changes of the status of an app, one per row.
create table bloud.status_transitions (
  from_status bloud.status, -- Status before the change.
  to_status bloud.status, -- Status after the change.
  meaning text not null, -- Event that causes the change, in words.
  constraint one_row_per_transition UNIQUE NULLS NOT DISTINCT (from_status, to_status),
  constraint transition_names_a_status CHECK (((from_status IS NOT NULL) OR (to_status IS NOT NULL)))
);

-- State of the event history (bloud.events), in a single row.
create table bloud.stream (
  -- Primary key that is always true, so that the table has at most one row.
  singleton boolean not null default true,
  epoch text not null, -- Random id of the event history.
  pruned_to bigint not null default 0, -- Number (seq) of the newest event that prune() has deleted, or 0.
  timeline text, -- Timeline of the PostgreSQL server, as in the names of its WAL files.
  -- True if prune() has deleted the first rebuild that succeeded.
  rebuilds_pruned boolean not null default false,
  constraint stream_pkey PRIMARY KEY (singleton),
  constraint stream_has_one_row CHECK (singleton)
);

-- Last report of each worker (orchestrator process).
create table bloud.workers (
  worker text not null, -- Name of the worker, as in the column worker of bloud.lease.
  reported_at timestamp with time zone not null, -- Time of the report by the clock of the database.
  clock_ahead interval not null, -- Difference between the clock of the worker and the clock of the database.
  -- Reasons why the worker can't do its work, as in bloud.readiness(): [{cause, sentence, hint}].
  problems jsonb not null default '[]'::jsonb,
  constraint workers_pkey PRIMARY KEY (worker),
  constraint problems_are_a_list CHECK ((jsonb_typeof(problems) = 'array'::text))
);
