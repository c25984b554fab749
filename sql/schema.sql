-- The tables as they are today, after all migrations. Generated: do not edit, run `npm run schema`.
-- tests/sql/schema.test.ts compares this file with a migrated database. The files in migrations/ are history:
-- each was written once and is frozen. Functions, triggers, views and grants stand in their own files.

-- Permanent name of an app: 1 to 63 of a-z, 0-9 and -, beginning with a letter.
create domain bloud.app_name as text
  constraint name_is_plain CHECK ((VALUE ~ '^[a-z][a-z0-9-]{0,62}$'::text));

-- Reason of a failure: an object with at least class and message.
create domain bloud.cause as jsonb
  constraint cause_has_class_and_message CHECK (((VALUE IS NULL) OR COALESCE(((jsonb_typeof((VALUE ->
    'message'::text)) = 'string'::text) AND ((VALUE ->> 'class'::text) = ANY (ARRAY['preflight'::text,
    'configure'::text, 'evaluate'::text, 'build'::text, 'activate'::text, 'health'::text, 'timeout'::text,
    'cancelled'::text, 'interrupted'::text]))), false)));

-- Apps that fill the slots of an app: {slot: [app]}.
create domain bloud.choices as jsonb
  constraint choices_are_by_slot CHECK ((jsonb_typeof(VALUE) = 'object'::text));

-- Statuses of an app; status_transitions has the legal order.
create domain bloud.status as text
  constraint status_is_known CHECK ((VALUE = ANY (ARRAY['queued'::text, 'configuring'::text,
    'building'::text, 'starting'::text, 'running'::text, 'stopping'::text, 'stopped'::text, 'error'::text,
    'failed'::text])));

-- A TCP port, 1 to 65535.
create domain bloud.tcp_port as integer
  constraint port_is_a_tcp_port CHECK (((VALUE >= 1) AND (VALUE <= 65535)));

-- Reason why a verb would be refused: SQLSTATE of class BL, message, detail, hint.
create type bloud.refusal as (
  sqlstate text,
  message text,
  detail text,
  hint text
);

-- Numbers events. Taken under a lock held until the commit, so that numbers become visible in ascending
-- order.
create sequence bloud.events_seq;

-- One row per app that is installed, or was uninstalled with its data kept. Its status is changed by the
-- verbs and the orchestrator; every transition is checked and recorded.
create table bloud.apps (
  id bigint generated always as identity not null, -- Never changes and is never reused.
  name bloud.app_name not null, -- Name of the app as in the catalog. Never changes.
  display_name text not null, -- Name shown to people. Changed with rename().
  version text not null, -- Version in the catalog when the app was last requested.
  -- queued, configuring, building, starting, running, stopping, stopped, error (active, but not healthy) or
  -- failed (the install did not succeed).
  status text not null,
  port bloud.tcp_port, -- TCP port the app listens on; null: none.
  is_system boolean not null default false, -- True if the app belongs to the system and can't be uninstalled.
  -- Apps that fill the slots of this app: {slot: [app]}.
  integration_config bloud.choices not null default '{}'::jsonb,
  installed_at timestamp with time zone, -- Time of the first running; null before.
  -- Time of the last change of status or display_name.
  updated_at timestamp with time zone not null default now(),
  status_since timestamp with time zone not null default now(), -- Time of the last transition.
  wanted boolean not null default false, -- True if the next generation includes the app.
  operation_id bigint, -- The open operation of the app, or else its last one.
  cause bloud.cause, -- Reason of failed or error: {class, phase, message, hint, exit_code, unit, log}.
  deadline timestamp with time zone, -- Time at which the present phase ends as a failure; null: no limit.
  -- Time of the first configuration; null if no request of the app got that far.
  configured_at timestamp with time zone,
  status_actor text, -- Role that made the last transition, as recorded in its event.
  status_origin text, -- Origin of the last transition: web, api, psql or agent.
  constraint apps_pkey PRIMARY KEY (id),
  constraint apps_name_key UNIQUE (name),
  constraint apps_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES bloud.operations(id),
  constraint status_is_known CHECK (((status)::bloud.status IS NOT NULL))
);
-- Finds the apps that use an app, for required_by().
CREATE INDEX apps_by_choice ON bloud.apps USING gin (jsonb_path_query_array((integration_config)::jsonb,
  '$.*[*]'::jsonpath));

-- The catalog files as last read by the orchestrator. The view bloud.catalog is for people.
create table bloud.catalog_cache (
  name bloud.app_name not null, -- Name of the app.
  yaml_content text not null, -- Text of the file.
  updated_at timestamp with time zone not null, -- Time of the last change of the content.
  entry jsonb not null, -- The file, parsed: slots (integrations), healthCheck, npm, image.
  display_name text not null, -- Name shown to people, unless the app is renamed.
  description text not null, -- Purpose of the app in one sentence.
  category text not null, -- Category in the catalog.
  version text not null, -- Version that an install installs.
  port bloud.tcp_port, -- TCP port the app will listen on; null: none.
  is_system boolean not null, -- True if the app belongs to the system: once installed it stays.
  unavailable text, -- Reason why it can't be installed on this machine; null: it can.
  warnings jsonb not null default '[]'::jsonb, -- Doubtful parts of the file, as sentences.
  constraint catalog_cache_pkey PRIMARY KEY (name)
);

-- Catalog files that could not be used, with the reason.
create table bloud.catalog_problems (
  file text not null, -- Name of the file in the catalog folder.
  line integer, -- Line of the problem; null: not known.
  reason text not null, -- The problem in a sentence.
  found_at timestamp with time zone not null, -- Time of reading.
  constraint catalog_problems_pkey PRIMARY KEY (file)
);

-- Actor of a deletion of an app, from the deletion to the commit. Empty for other transactions.
create table bloud.deletions (
  app_id bigint not null, -- Id of the deleted app.
  actor text not null, -- Role that deleted the app.
  origin text not null, -- Origin: web, api, psql, or agent.
  constraint deletions_pkey PRIMARY KEY (app_id)
);

-- History: exactly one row per transition, written by trigger in commit order. Rows are only appended, and
-- pruned.
create table bloud.events (
  -- Grows in the order of the commits, so "seq > last" misses no row; numbers may be skipped.
  seq bigint not null,
  at timestamp with time zone not null, -- Time of the commit.
  app text not null, -- Name of the app.
  from_status text, -- Null: the row of the app was inserted.
  to_status text, -- Null: the row of the app was deleted.
  operation_id bigint, -- The operation that caused the transition.
  actor text not null, -- Role that made the transition.
  origin text not null, -- Origin: web (the page), api, psql, or agent (the orchestrator).
  cause jsonb, -- Reason of a transition to failed or error.
  lasted interval, -- Time the app had been in from_status.
  app_id bigint not null, -- Id of the app; an app purged and installed again has another.
  display_name text not null, -- Name shown to people at that time.
  version text not null, -- Version after the transition.
  port integer, -- TCP port after the transition.
  is_system boolean not null, -- True if the app belongs to the system.
  integration_config jsonb not null, -- Apps that filled its slots: {slot: [app]}.
  installed_at timestamp with time zone, -- Time of the first running.
  -- Time of the transition within its transaction; `at` is the time of the commit.
  updated_at timestamp with time zone not null,
  constraint events_pkey PRIMARY KEY (seq)
);
-- Finds the history of an app, for status_at() and bloud.history.
CREATE INDEX events_by_app ON bloud.events USING btree (app, seq);
-- Finds the ends of a phase, for usual_duration().
CREATE INDEX events_by_transition ON bloud.events USING btree (from_status, to_status, seq) WHERE
  (from_status = ANY (ARRAY['queued'::text, 'configuring'::text, 'building'::text, 'starting'::text,
  'stopping'::text]));

-- The right to work, held by one orchestrator at a time. One row.
create table bloud.lease (
  singleton boolean not null default true, -- Limits the table to one row.
  -- Fencing token: grows with each holder. Calls include it, and an old number is refused (BL016).
  attempt bigint not null default 0,
  worker text, -- Name of the holder, or of the last one.
  lease_until timestamp with time zone, -- End of the lease; null: released.
  constraint lease_pkey PRIMARY KEY (singleton),
  constraint lease_has_one_row CHECK (singleton)
);

-- Files of sql/migrations applied to this database. Maintained by node-pg-migrate.
create table bloud.migrations (
  id integer not null default nextval('bloud.migrations_id_seq'::regclass), -- Order of application.
  name character varying(255) not null, -- Name of the file without .sql.
  run_on timestamp without time zone not null, -- Time of application, in the time zone of the session.
  constraint migrations_pkey PRIMARY KEY (id)
);

-- One row per requested operation. Its state is queued, active, then succeeded, failed, cancelled or
-- superseded.
create table bloud.operations (
  id bigint generated always as identity not null, -- Numbered in the order of the requests.
  app text, -- Name of the app; null for refresh_catalog and rollback.
  kind text not null, -- install, uninstall, rename, refresh_catalog or rollback.
  -- queued, active, succeeded, failed, cancelled, or superseded by a later request.
  state text not null default 'queued'::text,
  -- Options as given: {"choices": {slot: app or [apps]}} for an install, {"display_name": text} for a
  -- rename, {"from": generation, "to": generation} for a rollback.
  options jsonb not null default '{}'::jsonb,
  purge boolean not null default false, -- True for an uninstall that also deletes the data.
  previous_status text, -- Status of the app at the request; null: it had no row.
  -- The install that needs this one as a dependency, or the rollback that it is a part of.
  requested_for bigint,
  requested_by text not null, -- Role that requested the operation.
  origin text not null, -- Origin of the request: web (the page), api, psql, or agent (the orchestrator).
  rebuild_id bigint, -- The rebuild that includes the operation, or the last one that did.
  cause bloud.cause, -- Reason of a failure or cancel: {class, phase, message, hint, exit_code, unit, log}.
  -- Parts that could not be set up although the app itself could, as sentences.
  warnings jsonb not null default '[]'::jsonb,
  requested_at timestamp with time zone not null, -- Time of the request.
  started_at timestamp with time zone, -- Time at which a rebuild claimed the operation.
  finished_at timestamp with time zone, -- Time of the end; null while queued or active.
  cancel_requested_at timestamp with time zone, -- Time of a cancel requested while the operation was active.
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
-- At most one operation of an app is queued or active, and one of each kind without an app.
CREATE UNIQUE INDEX one_open_operation_per_app ON bloud.operations USING btree (app, (
CASE
    WHEN (app IS NULL) THEN kind
    ELSE NULL::text
END)) NULLS NOT DISTINCT WHERE (state = ANY (ARRAY['queued'::text, 'active'::text]));
-- Finds the operations of an app, newest last.
CREATE INDEX operations_by_app ON bloud.operations USING btree (app, id);
-- Finds the operations of a rebuild.
CREATE INDEX operations_by_rebuild ON bloud.operations USING btree (rebuild_id);

-- Output of the switch, line by line. operation_log() reads it by operation.
create table bloud.rebuild_log (
  rebuild_id bigint not null, -- The rebuild.
  line_no bigint not null, -- From 1, without gaps.
  at timestamp with time zone not null, -- Time of the arrival in the database.
  line text not null, -- Text without the line end.
  constraint rebuild_log_pkey PRIMARY KEY (rebuild_id, line_no),
  constraint rebuild_log_rebuild_id_fkey FOREIGN KEY (rebuild_id) REFERENCES bloud.rebuilds(id) ON DELETE
    CASCADE
);

-- One row per rebuild of the host, which includes all operations that were queued; at most one is active.
create table bloud.rebuilds (
  id bigint generated always as identity not null, -- Numbered in the order of creation.
  -- waiting (second half of a failed rebuild whose cause named no app), active, succeeded or failed.
  state text not null default 'active'::text,
  -- configuring: files are being written. building: the switch runs.
  phase text not null default 'configuring'::text,
  -- Attempt number of the lease it belongs to; calls with another number are refused.
  attempt bigint not null,
  worker text not null, -- Name of the worker.
  -- Time at which the worker counts as dead, unless it renews the lease.
  lease_until timestamp with time zone not null,
  deadline timestamp with time zone not null, -- Time at which the switch is stopped and the rebuild fails.
  run integer not null default 0, -- Number of starts of the switch; above 1: a lost switch was started again.
  -- Position in bytes up to which the log of the run is stored in rebuild_log.
  log_offset bigint not null default 0,
  log_lines bigint not null default 0, -- Number of lines in rebuild_log.
  generation_before text, -- Generation of the host before the switch.
  generation_after text, -- Generation of the host after the switch, as observed.
  exit_code integer, -- Exit code of the switch; null: none.
  follows bigint, -- The failed rebuild whose remaining operations this one includes.
  rolls_back_to text, -- Older generation that a rollback activates; null: the rebuild makes a new generation.
  -- Apps of the generation after it, as configured: {app: {version, port, integration_config}}; null: not
  -- known.
  desired jsonb,
  started_at timestamp with time zone not null, -- Time of the claim of its operations.
  build_started_at timestamp with time zone, -- Time of the first start of the switch.
  -- Time at which the host began to switch over; from then on a cancel is refused.
  activated_at timestamp with time zone,
  finished_at timestamp with time zone, -- Time of the end.
  constraint rebuilds_pkey PRIMARY KEY (id),
  constraint rebuilds_follows_fkey FOREIGN KEY (follows) REFERENCES bloud.rebuilds(id),
  constraint finished_when_over CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['waiting'::text,
    'active'::text])))),
  constraint rebuild_phase_is_known CHECK ((phase = ANY (ARRAY['configuring'::text, 'building'::text]))),
  constraint rebuild_state_is_known CHECK ((state = ANY (ARRAY['waiting'::text, 'active'::text,
    'succeeded'::text, 'failed'::text])))
);
-- At most one rebuild is active.
CREATE UNIQUE INDEX one_active_rebuild ON bloud.rebuilds USING btree ((true)) WHERE (state =
  'active'::text);

-- Every legal transition of an app; any other is refused (BL003) for every role.
create table bloud.status_transitions (
  from_status bloud.status, -- Null: the row of the app is inserted.
  to_status bloud.status, -- Null: the row of the app is deleted.
  meaning text not null, -- Occasion of the transition.
  constraint one_row_per_transition UNIQUE NULLS NOT DISTINCT (from_status, to_status),
  constraint transition_names_a_status CHECK (((from_status IS NOT NULL) OR (to_status IS NOT NULL)))
);

-- Identity of this history. One row.
create table bloud.stream (
  singleton boolean not null default true, -- Limits the table to one row.
  -- Ids on the stream are <epoch>.<seq>. A restored backup gets a new epoch, so that no client continues
  -- across the gap.
  epoch text not null,
  pruned_to bigint not null default 0, -- Events up to this seq may have been pruned.
  constraint stream_pkey PRIMARY KEY (singleton),
  constraint stream_has_one_row CHECK (singleton)
);
