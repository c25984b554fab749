-- The tables as they are today, after all migrations. Generated: do not edit, run `npm run schema`.
-- tests/sql/schema.test.ts compares this file with a migrated database. The files in migrations/ are history:
-- each was written once and is frozen. Functions, triggers, views and grants stand in their own files.

-- Permanent name of an app: 1 to 63 characters of a-z, 0-9 and -, of which the first is a letter.
create domain bloud.app_name as text
  constraint name_is_plain CHECK ((VALUE ~ '^[a-z][a-z0-9-]{0,62}$'::text));

-- Reason of a failure, as a JSON object with at least the fields class and message.
create domain bloud.cause as jsonb
  constraint cause_has_class_and_message CHECK (((VALUE IS NULL) OR COALESCE(((jsonb_typeof((VALUE ->
    'message'::text)) = 'string'::text) AND ((VALUE ->> 'class'::text) = ANY (ARRAY['preflight'::text,
    'configure'::text, 'evaluate'::text, 'build'::text, 'activate'::text, 'health'::text, 'timeout'::text,
    'cancelled'::text, 'interrupted'::text]))), false)));

-- Dependencies chosen for an app, as JSON: {slot: [app]}. A slot is a named place for a dependency, for
-- example "database".
create domain bloud.choices as jsonb
  constraint choices_are_by_slot CHECK ((jsonb_typeof(VALUE) = 'object'::text));

-- Status of an app. The legal transitions between statuses are the rows of bloud.status_transitions.
create domain bloud.status as text
  constraint status_is_known CHECK ((VALUE = ANY (ARRAY['queued'::text, 'configuring'::text,
    'building'::text, 'starting'::text, 'running'::text, 'stopping'::text, 'stopped'::text, 'error'::text,
    'failed'::text])));

-- TCP port, from 1 to 65535.
create domain bloud.tcp_port as integer
  constraint port_is_a_tcp_port CHECK (((VALUE >= 1) AND (VALUE <= 65535)));

-- Reason why a verb (install, uninstall …) is refused: SQLSTATE of class BL, message, detail and hint.
create type bloud.refusal as (
  sqlstate text,
  message text,
  detail text,
  hint text
);

-- Source of event numbers (seq). A number is taken under a lock that is held until the commit, so numbers
-- become visible in ascending order.
create sequence bloud.events_seq;

-- One row per app that is installed, or that was uninstalled while the data of the app was kept. Only the
-- verbs (install, uninstall …) and the orchestrator change the status. A trigger checks and records every
-- change of the status.
create table bloud.apps (
  -- Id of the app. An id never changes and is never used for another app.
  id bigint generated always as identity not null,
  name bloud.app_name not null, -- Name of the app as in the catalog. The name never changes.
  display_name text not null, -- Name of the app shown to people. The verb rename() changes it.
  version text not null, -- Version that the catalog had when the app was last requested.
  -- Status of the app: queued, configuring, building, starting, running, stopping, stopped, error (active
  -- but not healthy) or failed (the install did not succeed).
  status text not null,
  port bloud.tcp_port, -- TCP port on which the app listens. Null if the app has no port.
  is_system boolean not null default false, -- True if the app belongs to the system and can't be uninstalled.
  -- Dependencies chosen for the app, as JSON: {slot: [app]}. A slot is a named place for a dependency.
  integration_config bloud.choices not null default '{}'::jsonb,
  -- Time at which the app was healthy for the first time. Null before that time.
  installed_at timestamp with time zone,
  -- Time of the last change of the status or the display name.
  updated_at timestamp with time zone not null default now(),
  status_since timestamp with time zone not null default now(), -- Time of the last change of the status.
  wanted boolean not null default false, -- True if the next host generation includes the app.
  operation_id bigint, -- Id of the open operation of the app, or of its last operation if none is open.
  -- Reason of the status failed or error: {class, phase, message, hint, exit_code, unit, log}.
  cause bloud.cause,
  -- Time after which the present status of the app (for example building) counts as failed. Null if the
  -- status may last for any time.
  deadline timestamp with time zone,
  -- Time of the first configuration of the app. Null if the app has never been configured.
  configured_at timestamp with time zone,
  status_actor text, -- PostgreSQL role that made the last transition of the app.
  -- Origin of the last transition of the app: web (the page), api, psql, or agent (the orchestrator).
  status_origin text,
  constraint apps_pkey PRIMARY KEY (id),
  constraint apps_name_key UNIQUE (name),
  constraint apps_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES bloud.operations(id),
  constraint status_is_known CHECK (((status)::bloud.status IS NOT NULL))
);
-- Index with which required_by() finds the apps that use a given app as a dependency.
CREATE INDEX apps_by_choice ON bloud.apps USING gin (jsonb_path_query_array((integration_config)::jsonb,
  '$.*[*]'::jsonpath));

-- Catalog files as last read by the orchestrator, one row per app. The view bloud.catalog shows these rows
-- to people.
create table bloud.catalog_cache (
  name bloud.app_name not null, -- Name of the app.
  yaml_content text not null, -- Text of the catalog file.
  updated_at timestamp with time zone not null, -- Time of the last change of the content.
  entry jsonb not null, -- Catalog file as parsed JSON, with slots (integrations), healthCheck, npm and image.
  -- Name of the app shown to people. A rename of the installed app does not change this name.
  display_name text not null,
  description text not null, -- Purpose of the app in one sentence.
  category text not null, -- Category of the app in the catalog.
  version text not null, -- Version that an install installs.
  port bloud.tcp_port, -- TCP port on which the app listens once installed. Null if the app has no port.
  -- True if the app belongs to the system and, once installed, can't be uninstalled.
  is_system boolean not null,
  -- Reason why the app can't be installed on this machine. Null if the app can be installed.
  unavailable text,
  -- List of sentences. Each sentence describes a probable mistake in the catalog file of the app.
  warnings jsonb not null default '[]'::jsonb,
  constraint catalog_cache_pkey PRIMARY KEY (name)
);

-- Catalog files that could not be used, each with the reason.
create table bloud.catalog_problems (
  file text not null, -- Name of the file in the catalog folder.
  line integer, -- Number of the line with the problem. Null if the line is not known.
  reason text not null, -- Description of the problem in one sentence.
  found_at timestamp with time zone not null, -- Time at which the orchestrator read the file.
  constraint catalog_problems_pkey PRIMARY KEY (file)
);

-- Role and origin of each deletion of an app. A row is inserted when the app is deleted. At the commit a
-- trigger moves the values into bloud.events and deletes the row.
create table bloud.deletions (
  app_id bigint not null, -- Id of the deleted app.
  actor text not null, -- PostgreSQL role that deleted the app.
  origin text not null, -- Origin of the deletion: web, api, psql, or agent.
  constraint deletions_pkey PRIMARY KEY (app_id)
);

-- History of the apps: one row per transition, written by a trigger in the order of the commits. Rows are
-- never changed; prune() deletes old rows.
create table bloud.events (
  -- Number of the event. Numbers grow in the order of the commits, so a query for "seq > last" misses no
  -- row. Numbers may be skipped.
  seq bigint not null,
  at timestamp with time zone not null, -- Time of the commit.
  app text not null, -- Name of the app.
  from_status text, -- Status before the transition. Null if the transition inserted the row of the app.
  to_status text, -- Status after the transition. Null if the transition deleted the row of the app.
  operation_id bigint, -- Id of the operation that caused the transition.
  actor text not null, -- PostgreSQL role that made the transition.
  origin text not null, -- Origin of the transition: web (the page), api, psql, or agent (the orchestrator).
  cause jsonb, -- Reason of a transition to failed or error.
  lasted interval, -- Time that the app had spent in from_status.
  app_id bigint not null, -- Id of the app. An app that is purged and installed again gets a new id.
  display_name text not null, -- Name of the app shown to people after the transition.
  version text not null, -- Version of the app after the transition.
  port integer, -- TCP port of the app after the transition.
  is_system boolean not null, -- True if the app belongs to the system.
  -- Apps that filled the slots of the app after the transition: {slot: [app]}.
  integration_config jsonb not null,
  installed_at timestamp with time zone, -- Time at which the app was healthy for the first time.
  -- Time of the transition within its transaction. The column `at` has the time of the commit.
  updated_at timestamp with time zone not null,
  constraint events_pkey PRIMARY KEY (seq)
);
-- Index with which status_at() and the view bloud.history find the events of an app.
CREATE INDEX events_by_app ON bloud.events USING btree (app, seq);
-- Index with which usual_duration() finds the events that end a phase, for example building.
CREATE INDEX events_by_transition ON bloud.events USING btree (from_status, to_status, seq) WHERE
  (from_status = ANY (ARRAY['queued'::text, 'configuring'::text, 'building'::text, 'starting'::text,
  'stopping'::text]));

-- Lease of the worker (orchestrator process) that may act on the host. The table has one row.
create table bloud.lease (
  singleton boolean not null default true, -- Constant primary key that limits the table to one row.
  -- Attempt number (fencing token), which grows each time a worker acquires the lease. A call with an older
  -- number is refused (BL016).
  attempt bigint not null default 0,
  worker text, -- Name of the worker that holds the lease, or of the last worker that held the lease.
  lease_until timestamp with time zone, -- Time at which the lease runs out. Null if the lease is released.
  constraint lease_pkey PRIMARY KEY (singleton),
  constraint lease_has_one_row CHECK (singleton)
);

-- Files of sql/migrations that have been applied to this database. The library node-pg-migrate writes the
-- rows.
create table bloud.migrations (
  -- Id of the migration. Ids grow in the order of application.
  id integer not null default nextval('bloud.migrations_id_seq'::regclass),
  name character varying(255) not null, -- Name of the file without .sql.
  run_on timestamp without time zone not null, -- Time of application, in the time zone of the session.
  constraint migrations_pkey PRIMARY KEY (id)
);

-- One row per requested operation. An operation begins as queued, becomes active, and ends as succeeded,
-- failed, cancelled or superseded.
create table bloud.operations (
  -- Id of the operation. Ids grow in the order of the requests.
  id bigint generated always as identity not null,
  app text, -- Name of the app. Null for the kinds refresh_catalog and rollback, because they have no app.
  kind text not null, -- Kind of the operation: install, uninstall, rename, refresh_catalog or rollback.
  -- State of the operation: queued, active, succeeded, failed, cancelled, or superseded by a later request.
  state text not null default 'queued'::text,
  -- Options of the request: {"choices": {slot: app or [apps]}} for an install, {"display_name": text} for a
  -- rename, {"from": generation, "to": generation} for a rollback.
  options jsonb not null default '{}'::jsonb,
  -- True if the operation is an uninstall that also deletes the data of the app.
  purge boolean not null default false,
  -- Status of the app when the operation was requested. Null if the app had no row then.
  previous_status text,
  -- Id of the operation that caused this operation: the install of an app that depends on this app, or a
  -- rollback. Null if an operator requested this operation directly.
  requested_for bigint,
  requested_by text not null, -- PostgreSQL role that requested the operation.
  origin text not null, -- Origin of the request: web (the page), api, psql, or agent (the orchestrator).
  -- Id of the last rebuild that included the operation. Null if no rebuild has included the operation.
  rebuild_id bigint,
  -- Reason why the operation failed or was cancelled: {class, phase, message, hint, exit_code, unit, log}.
  cause bloud.cause,
  -- List of sentences. Each sentence names a part of the app that could not be set up, although the app
  -- itself was installed.
  warnings jsonb not null default '[]'::jsonb,
  requested_at timestamp with time zone not null, -- Time of the request.
  started_at timestamp with time zone, -- Time at which a rebuild claimed the operation.
  -- Time at which the operation ended. Null while the operation is queued or active.
  finished_at timestamp with time zone,
  -- Time at which an operator requested to cancel the active operation. Null without such a request.
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
-- Unique index that allows at most one queued or active operation per app. Operations without an app are
-- limited to one of each kind.
CREATE UNIQUE INDEX one_open_operation_per_app ON bloud.operations USING btree (app, (
CASE
    WHEN (app IS NULL) THEN kind
    ELSE NULL::text
END)) NULLS NOT DISTINCT WHERE (state = ANY (ARRAY['queued'::text, 'active'::text]));
-- Index with which the operations of an app are found in the order of the ids.
CREATE INDEX operations_by_app ON bloud.operations USING btree (app, id);
-- Index with which the operations of a rebuild are found.
CREATE INDEX operations_by_rebuild ON bloud.operations USING btree (rebuild_id);

-- Output of the switch command, one line per row. The function operation_log() returns the lines of an
-- operation.
create table bloud.rebuild_log (
  rebuild_id bigint not null, -- Id of the rebuild that printed the line.
  -- Number of the line in the log of the rebuild. Numbers begin with 1 and have no gaps.
  line_no bigint not null,
  at timestamp with time zone not null, -- Time at which the line was stored in the database.
  line text not null, -- Text of the line, without the line end.
  constraint rebuild_log_pkey PRIMARY KEY (rebuild_id, line_no),
  constraint rebuild_log_rebuild_id_fkey FOREIGN KEY (rebuild_id) REFERENCES bloud.rebuilds(id) ON DELETE
    CASCADE
);

-- One row per rebuild of the host. A new rebuild includes all operations queued at that time. At most one
-- rebuild is active.
create table bloud.rebuilds (
  id bigint generated always as identity not null, -- Id of the rebuild. Ids grow in the order of creation.
  -- State of the rebuild: active, succeeded, failed, or waiting. If a rebuild fails and the cause names no
  -- app, the operations are split between an active and a waiting rebuild.
  state text not null default 'active'::text,
  -- Phase of the rebuild: configuring while files are written, building while the switch command runs.
  phase text not null default 'configuring'::text,
  -- Attempt number of the worker that holds the lease. Calls of other workers have another attempt number
  -- and are refused.
  attempt bigint not null,
  worker text not null, -- Name of the worker (orchestrator process) that works on the rebuild.
  -- Time at which the lease of the worker runs out, unless the worker renews the lease before.
  lease_until timestamp with time zone not null,
  -- Time at which the switch command is stopped and the rebuild fails.
  deadline timestamp with time zone not null,
  -- Number of starts of the switch command for this rebuild. A number above 1 means that a switch command
  -- ended without a known outcome and was started again.
  run integer not null default 0,
  -- Number of bytes of the output of the last started switch command that are stored in bloud.rebuild_log.
  log_offset bigint not null default 0,
  log_lines bigint not null default 0, -- Number of lines of this rebuild in bloud.rebuild_log.
  generation_before text, -- Host generation before the switch command ran.
  generation_after text, -- Host generation after the switch command ran, as observed by the orchestrator.
  exit_code integer, -- Exit code of the switch command. Null if no exit code is known.
  -- Id of the failed rebuild whose remaining operations this rebuild includes. Null for all other rebuilds.
  follows bigint,
  -- Older host generation that a rollback activates. Null if the rebuild creates a new generation.
  rolls_back_to text,
  -- Apps of the host generation that the rebuild creates: {app: {version, port, integration_config}}. Null
  -- if these apps are not known.
  desired jsonb,
  -- Time at which the rebuild started. The operations of the rebuild become active at the same time.
  started_at timestamp with time zone not null,
  build_started_at timestamp with time zone, -- Time of the first start of the switch command.
  -- Time at which the host began to activate the new generation. From this time on a cancel is refused.
  activated_at timestamp with time zone,
  finished_at timestamp with time zone, -- Time at which the rebuild ended.
  constraint rebuilds_pkey PRIMARY KEY (id),
  constraint rebuilds_follows_fkey FOREIGN KEY (follows) REFERENCES bloud.rebuilds(id),
  constraint finished_when_over CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['waiting'::text,
    'active'::text])))),
  constraint rebuild_phase_is_known CHECK ((phase = ANY (ARRAY['configuring'::text, 'building'::text]))),
  constraint rebuild_state_is_known CHECK ((state = ANY (ARRAY['waiting'::text, 'active'::text,
    'succeeded'::text, 'failed'::text])))
);
-- Unique index that allows at most one active rebuild.
CREATE UNIQUE INDEX one_active_rebuild ON bloud.rebuilds USING btree ((true)) WHERE (state =
  'active'::text);

-- Legal transitions of an app, one per row. A trigger refuses all other transitions (BL003), for every
-- role.
create table bloud.status_transitions (
  -- Status before the transition. Null if the transition inserts the row of the app.
  from_status bloud.status,
  to_status bloud.status, -- Status after the transition. Null if the transition deletes the row of the app.
  meaning text not null, -- Description of the event that leads to the transition, as text.
  constraint one_row_per_transition UNIQUE NULLS NOT DISTINCT (from_status, to_status),
  constraint transition_names_a_status CHECK (((from_status IS NOT NULL) OR (to_status IS NOT NULL)))
);

-- Identity of the event history. The table has one row.
create table bloud.stream (
  singleton boolean not null default true, -- Constant primary key that limits the table to one row.
  -- Identity of the event history. A restored backup gets a new epoch, so that no client continues with
  -- events of the old history. Event ids sent to clients are <epoch>.<seq>.
  epoch text not null,
  pruned_to bigint not null default 0, -- Greatest seq of all pruned events.
  constraint stream_pkey PRIMARY KEY (singleton),
  constraint stream_has_one_row CHECK (singleton)
);
