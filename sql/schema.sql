-- The tables as they are today, after all migrations. Generated: do not edit, run `npm run schema`.
-- tests/sql/schema.test.ts compares this file with a migrated database. The files in migrations/ are history:
-- each was written once and is frozen. Functions, triggers, views and grants stand in their own files.

-- Name of an app: 1 to 63 characters of a-z, 0-9 and -, of which the first is a letter.
create domain bloud.app_name as text
  constraint name_is_plain CHECK ((VALUE ~ '^[a-z][a-z0-9-]{0,62}$'::text));

-- Reason of a failure: JSON with at least class and message.
create domain bloud.cause as jsonb
  constraint cause_has_class_and_message CHECK (((VALUE IS NULL) OR COALESCE(((jsonb_typeof((VALUE ->
    'message'::text)) = 'string'::text) AND ((VALUE ->> 'class'::text) = ANY (ARRAY['preflight'::text,
    'configure'::text, 'evaluate'::text, 'build'::text, 'activate'::text, 'health'::text, 'timeout'::text,
    'cancelled'::text, 'interrupted'::text]))), false)));

-- Dependencies of an app: {slot: [app]}. A slot is a named place for a dependency, for example "database".
create domain bloud.choices as jsonb
  constraint choices_are_by_slot CHECK ((jsonb_typeof(VALUE) = 'object'::text));

-- Status of an app. bloud.status_transitions has the legal transitions.
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

-- Source of event numbers (seq).
create sequence bloud.events_seq;

-- One row per app that is installed, or whose data was kept by an uninstall. A trigger checks and records
-- every change of the status.
create table bloud.apps (
  id bigint generated always as identity not null, -- Id of the app, never used for another app.
  name bloud.app_name not null, -- Name of the app as in the catalog. The name never changes.
  display_name text not null, -- Name shown to people. The verb rename() changes this name.
  version text not null, -- Version in the catalog when the app was last requested.
  -- Status of the app: failed if the install failed, error if an installed app has a problem.
  status text not null,
  port bloud.tcp_port, -- TCP port on which the app listens. Null if the app has no port.
  is_system boolean not null default false, -- True if the app belongs to the system and can't be uninstalled.
  integration_config bloud.choices not null default '{}'::jsonb, -- Dependencies of the app: {slot: [app]}.
  installed_at timestamp with time zone, -- Time at which the app was healthy for the first time, or null.
  updated_at timestamp with time zone not null default now(), -- Time of the last change of status or name.
  status_since timestamp with time zone not null default now(), -- Time of the last change of the status.
  wanted boolean not null default false, -- True if the next host generation includes the app.
  operation_id bigint, -- Id of the newest install or uninstall of the app.
  cause bloud.cause, -- Reason of status failed or error: {class, phase, message, hint, exit_code, unit, log}.
  deadline timestamp with time zone, -- Time after which the present status counts as failed, or null.
  configured_at timestamp with time zone, -- Time of the first configuration of the app, or null.
  status_actor text, -- PostgreSQL role that made the last transition of the app.
  status_origin text, -- Origin of the last transition: web (the page), api, psql or agent.
  constraint apps_pkey PRIMARY KEY (id),
  constraint apps_name_key UNIQUE (name),
  constraint apps_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES bloud.operations(id),
  constraint status_is_known CHECK (((status)::bloud.status IS NOT NULL))
);
-- Lets required_by() find apps by their dependencies.
CREATE INDEX apps_by_choice ON bloud.apps USING gin (jsonb_path_query_array((integration_config)::jsonb,
  '$.*[*]'::jsonpath));

-- Catalog files as last read by the orchestrator, one row per app.
create table bloud.catalog_cache (
  name bloud.app_name not null, -- Name of the app.
  yaml_content text not null, -- Text of the catalog file.
  updated_at timestamp with time zone not null, -- Time of the last change of the content.
  entry jsonb not null, -- Catalog file as JSON. The field integrations has the slots.
  display_name text not null, -- Name of the app shown to people, unless changed by rename().
  description text not null, -- Purpose of the app in one sentence.
  category text not null, -- Category of the app in the catalog.
  version text not null, -- Version that an install installs.
  port bloud.tcp_port, -- TCP port on which the installed app listens, or null.
  is_system boolean not null, -- True if the app belongs to the system.
  unavailable text, -- Reason why this machine can't run the app, or null.
  warnings jsonb not null default '[]'::jsonb, -- Sentences about probable mistakes in the catalog file.
  constraint catalog_cache_pkey PRIMARY KEY (name)
);

-- Catalog files that could not be used, each with the reason.
create table bloud.catalog_problems (
  file text not null, -- Name of the file in the catalog folder.
  line integer, -- Number of the line with the problem, or null.
  reason text not null, -- Description of the problem in one sentence.
  found_at timestamp with time zone not null, -- Time at which the orchestrator read the file.
  constraint catalog_problems_pkey PRIMARY KEY (file)
);

-- Role and origin of deleted apps. At the commit a trigger moves the values into bloud.events.
create table bloud.deletions (
  app_id bigint not null, -- Id of the deleted app.
  actor text not null, -- PostgreSQL role that deleted the app.
  origin text not null, -- Origin of the deletion: web (the page), api, psql or agent.
  constraint deletions_pkey PRIMARY KEY (app_id)
);

-- History of the apps: one row per transition, in the order of the commits. Only prune() deletes rows.
create table bloud.events (
  -- Number of the event. Numbers grow in the order of the commits, so a query for "seq > last" misses no
  -- row.
  seq bigint not null,
  at timestamp with time zone not null, -- Time of the commit.
  app text not null, -- Name of the app.
  from_status text, -- Status before the transition. Null for a new app.
  to_status text, -- Status after the transition. Null for a deleted app.
  operation_id bigint, -- Id of the operation that caused the transition.
  actor text not null, -- PostgreSQL role that made the transition.
  origin text not null, -- Origin of the transition: web (the page), api, psql or agent.
  cause jsonb, -- Reason of a transition to failed or error.
  lasted interval, -- Time that the app had spent in from_status.
  app_id bigint not null, -- Id of the app. An app installed after a purge has a new id.
  display_name text not null, -- Name shown to people after the transition.
  version text not null, -- Version of the app after the transition.
  port integer, -- TCP port of the app after the transition.
  is_system boolean not null, -- True if the app belongs to the system.
  integration_config jsonb not null, -- Dependencies after the transition: {slot: [app]}.
  installed_at timestamp with time zone, -- Time at which the app was first healthy, or null.
  updated_at timestamp with time zone not null, -- Time of the transition, a moment before the commit.
  constraint events_pkey PRIMARY KEY (seq)
);
-- Lets status_at() and bloud.history find the events of an app.
CREATE INDEX events_by_app ON bloud.events USING btree (app, seq);
-- Lets usual_duration() find the events that end a phase.
CREATE INDEX events_by_transition ON bloud.events USING btree (from_status, to_status, seq) WHERE
  (from_status = ANY (ARRAY['queued'::text, 'configuring'::text, 'building'::text, 'starting'::text,
  'stopping'::text]));

-- Lease of the worker (orchestrator process) that may act on the host.
create table bloud.lease (
  singleton boolean not null default true, -- Constant primary key that limits the table to one row.
  attempt bigint not null default 0, -- Attempt number (fencing token), increased by acquire_lease().
  worker text, -- Name of the worker that holds the lease, or of the last holder.
  lease_until timestamp with time zone, -- Time at which the lease runs out. Null after a release.
  constraint lease_pkey PRIMARY KEY (singleton),
  constraint lease_has_one_row CHECK (singleton)
);

-- Applied files of sql/migrations. node-pg-migrate writes the rows.
create table bloud.migrations (
  id integer not null default nextval('bloud.migrations_id_seq'::regclass), -- Id of the migration.
  name character varying(255) not null, -- Name of the file without .sql.
  run_on timestamp without time zone not null, -- Time of application, in the time zone of the session.
  constraint migrations_pkey PRIMARY KEY (id)
);

-- One row per operation, for example the install of an app.
create table bloud.operations (
  id bigint generated always as identity not null, -- Id of the operation. Later operations have greater ids.
  app text, -- Name of the app. Null for the kinds refresh_catalog and rollback.
  kind text not null, -- Kind: install, uninstall, rename, refresh_catalog or rollback.
  -- State: queued, active, succeeded, failed, cancelled, or superseded by a later request.
  state text not null default 'queued'::text,
  -- Options: {choices} of an install, {display_name} of a rename, {from, to} (generations) of a rollback.
  options jsonb not null default '{}'::jsonb,
  purge boolean not null default false, -- True for an uninstall that also deletes the data of the app.
  previous_status text, -- Status of the app before the request. Null for a new app.
  requested_for bigint, -- Id of the install or rollback that needs this operation, or null.
  requested_by text not null, -- PostgreSQL role that requested the operation.
  origin text not null, -- Origin of the request: web (the page), api, psql or agent.
  rebuild_id bigint, -- Id of the last rebuild with this operation, or null.
  cause bloud.cause, -- Reason of a failure or cancel: {class, phase, message, hint, exit_code, unit, log}.
  warnings jsonb not null default '[]'::jsonb, -- Sentences about parts of the app that could not be set up.
  requested_at timestamp with time zone not null, -- Time of the request.
  started_at timestamp with time zone, -- Time at which a rebuild claimed the operation.
  finished_at timestamp with time zone, -- Time at which the operation ended, or null.
  cancel_requested_at timestamp with time zone, -- Time at which a cancel was requested, or null.
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
-- Allows at most one open operation per app, or per kind if the operation has no app.
CREATE UNIQUE INDEX one_open_operation_per_app ON bloud.operations USING btree (app, (
CASE
    WHEN (app IS NULL) THEN kind
    ELSE NULL::text
END)) NULLS NOT DISTINCT WHERE (state = ANY (ARRAY['queued'::text, 'active'::text]));
-- Finds the operations of an app in the order of the ids.
CREATE INDEX operations_by_app ON bloud.operations USING btree (app, id);
-- Finds the operations of a rebuild.
CREATE INDEX operations_by_rebuild ON bloud.operations USING btree (rebuild_id);

-- Output of the switch command, one line per row.
create table bloud.rebuild_log (
  rebuild_id bigint not null, -- Id of the rebuild whose switch command printed the line.
  line_no bigint not null, -- Number of the line in the log of the rebuild, from 1.
  at timestamp with time zone not null, -- Time at which the line was stored in the database.
  line text not null, -- Text of the line, without the line end.
  constraint rebuild_log_pkey PRIMARY KEY (rebuild_id, line_no),
  constraint rebuild_log_rebuild_id_fkey FOREIGN KEY (rebuild_id) REFERENCES bloud.rebuilds(id) ON DELETE
    CASCADE
);

-- One row per rebuild of the host. At most one rebuild is active.
create table bloud.rebuilds (
  id bigint generated always as identity not null, -- Id of the rebuild. Later rebuilds have greater ids.
  -- State: active, succeeded, failed, or waiting until another rebuild has ended.
  state text not null default 'active'::text,
  -- Phase: configuring while files are written, building while the switch command runs.
  phase text not null default 'configuring'::text,
  attempt bigint not null, -- Attempt number (fencing token) of the worker of the rebuild.
  worker text not null, -- Name of the worker (orchestrator process) of the rebuild.
  lease_until timestamp with time zone not null, -- Time at which the lease of the worker runs out.
  deadline timestamp with time zone not null, -- Time at which a switch command that still runs is stopped.
  run integer not null default 0, -- Number of starts of the switch command for this rebuild.
  -- Number of stored bytes of the output of the last run of the switch command.
  log_offset bigint not null default 0,
  log_lines bigint not null default 0, -- Number of lines of this rebuild in bloud.rebuild_log.
  generation_before text, -- Host generation before the switch command ran.
  generation_after text, -- Host generation after the switch command ran.
  exit_code integer, -- Exit code of the switch command, or null if not known.
  follows bigint, -- Id of the failed rebuild that this rebuild continues, or null.
  rolls_back_to text, -- Older host generation that a rollback activates, or null.
  desired jsonb, -- Apps of the new host generation, {app: {version, port, integration_config}}, or null.
  started_at timestamp with time zone not null, -- Time at which the rebuild and its operations became active.
  build_started_at timestamp with time zone, -- Time of the first start of the switch command.
  activated_at timestamp with time zone, -- Time of the activation, after which a cancel is refused.
  finished_at timestamp with time zone, -- Time at which the rebuild ended.
  constraint rebuilds_pkey PRIMARY KEY (id),
  constraint rebuilds_follows_fkey FOREIGN KEY (follows) REFERENCES bloud.rebuilds(id),
  constraint finished_when_over CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['waiting'::text,
    'active'::text])))),
  constraint rebuild_phase_is_known CHECK ((phase = ANY (ARRAY['configuring'::text, 'building'::text]))),
  constraint rebuild_state_is_known CHECK ((state = ANY (ARRAY['waiting'::text, 'active'::text,
    'succeeded'::text, 'failed'::text])))
);
-- Allows at most one active rebuild.
CREATE UNIQUE INDEX one_active_rebuild ON bloud.rebuilds USING btree ((true)) WHERE (state =
  'active'::text);

-- Legal transitions of an app, one per row. A trigger refuses all other transitions (BL003).
create table bloud.status_transitions (
  from_status bloud.status, -- Status before the transition. Null for a new app.
  to_status bloud.status, -- Status after the transition. Null for a deleted app.
  meaning text not null, -- Description of the event that causes the transition.
  constraint one_row_per_transition UNIQUE NULLS NOT DISTINCT (from_status, to_status),
  constraint transition_names_a_status CHECK (((from_status IS NOT NULL) OR (to_status IS NOT NULL)))
);

-- Identity of the event history. The table has one row.
create table bloud.stream (
  singleton boolean not null default true, -- Constant primary key that limits the table to one row.
  epoch text not null, -- Identity of the event history. A restored backup gets a new epoch.
  pruned_to bigint not null default 0, -- Greatest seq of all pruned events.
  constraint stream_pkey PRIMARY KEY (singleton),
  constraint stream_has_one_row CHECK (singleton)
);
