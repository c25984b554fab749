-- A move of an app costs less: history holds what the app was like in columns instead of a document that is built while
-- all other commits wait, and the rules for a name and a port belong to their types, so that a move, which writes
-- neither, does not check them. (A CHECK of the table is parsed anew for every statement, with all its constants. So the
-- words of a status are the constants of a type too. The column is plain text: of an unknown status the guard speaks
-- first, and says what is legal.)

-- Everything that can be replaced and names these columns is made anew after this file.
drop view if exists bloud.app_status, bloud.catalog, bloud.queue, bloud.active, bloud.history, bloud.desired_apps,
  bloud.probed_apps;
drop trigger if exists guard_app_identity on bloud.apps;

create domain bloud.app_name as text constraint name_is_plain check (value ~ '^[a-z][a-z0-9-]{0,62}$');
create domain bloud.tcp_port as integer constraint port_is_a_tcp_port check (value between 1 and 65535);
create domain bloud.status as text constraint status_is_known check (value in
  ('queued', 'configuring', 'building', 'starting', 'running', 'stopping', 'stopped', 'error', 'failed'));

-- What the stream and the page promise of a cause and of choices: a row they can't be made of would keep all from being read.
create domain bloud.cause as jsonb constraint cause_says_why check (value is null or coalesce(
  jsonb_typeof(value -> 'message') = 'string' and value ->> 'class' in ('preflight', 'configure', 'evaluate', 'build',
  'activate', 'health', 'timeout', 'cancelled', 'interrupted'), false));
create domain bloud.choices as jsonb constraint choices_are_by_slot check (jsonb_typeof(value) = 'object');
do $$
declare
  v_table regclass;
begin
  -- What somebody wrote by hand may be anything; it must not keep the agent from starting.
  foreach v_table in array array['bloud.apps', 'bloud.operations']::regclass[] loop
    execute format($q$update %s set cause = jsonb_build_object('class', 'health', 'message', cause #>> '{}')
      where cause is not null and not coalesce(jsonb_typeof(cause -> 'message') = 'string' and cause ->> 'class' in ('preflight',
        'configure', 'evaluate', 'build', 'activate', 'health', 'timeout', 'cancelled', 'interrupted'), false)$q$, v_table);
  end loop;
end
$$;

alter table bloud.catalog_cache drop constraint name_is_plain, drop constraint port_is_a_tcp_port,
  alter name type bloud.app_name, alter port type bloud.tcp_port;
alter table bloud.apps drop constraint name_is_plain, drop constraint port_is_a_tcp_port, drop constraint status_is_known,
  alter name type bloud.app_name, alter port type bloud.tcp_port, alter cause type bloud.cause,
  alter integration_config type bloud.choices,
  add constraint status_is_known check (status::bloud.status is not null);
alter table bloud.operations alter cause type bloud.cause;
alter table bloud.status_transitions alter from_status type bloud.status, alter to_status type bloud.status;

alter table bloud.events add app_id bigint, add display_name text, add version text, add port integer, add is_system boolean,
  add integration_config jsonb, add installed_at timestamptz, add updated_at timestamptz;
select set_config('bloud.pruning', 'on', true);
update bloud.events e set app_id = r.id, display_name = r.display_name, version = r.version, port = r.port,
  is_system = r.is_system, integration_config = r.integration_config, installed_at = r.installed_at, updated_at = r.updated_at
from bloud.events d cross join lateral jsonb_to_record(d.data) as r (id bigint, display_name text, version text,
  port integer, is_system boolean, integration_config jsonb, installed_at timestamptz, updated_at timestamptz)
where d.seq = e.seq;
select set_config('bloud.pruning', '', true);
alter table bloud.events alter app_id set not null, alter display_name set not null, alter version set not null,
  alter is_system set not null, alter integration_config set not null, alter updated_at set not null, drop column data;

-- An app that is deleted can't keep for its event who deleted it.
create table bloud.removals (
  app_id bigint primary key,
  actor text not null,
  origin text not null
);

-- Only of phases is it asked how long they usually take; of what happens for years, running and error, it is not.
drop index bloud.events_by_move;
create index events_by_move on bloud.events (from_status, to_status, seq)
  where from_status in ('queued', 'configuring', 'building', 'starting', 'stopping');
