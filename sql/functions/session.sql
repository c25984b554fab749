-- Functions that return the actor, the origin and the time that are recorded with each operation and event.
--
--   actor    the login, also after SET ROLE. For the relay and the orchestrator, the role that they assumed
--   origin   web | api    a session of the relay (HTTP server), which sets the setting bloud.origin
--            agent        a session of the orchestrator (worker process)
--            psql         any other session
--   time     the server's clock, or the time that a test has set for the session
--
-- The values are not arguments of the verbs (install, uninstall …), because a caller could pass false values.

create or replace function bloud.clock() returns timestamptz
language plpgsql stable parallel safe as $$
declare
  v_set text := pg_catalog.current_setting('bloud.clock', true);
begin
  -- Only a login that may assume the role bloud_owner can set the time, so that an operator can't forge it.
  if v_set is null or v_set = '' or not pg_catalog.pg_has_role(session_user, 'bloud_owner', 'member') then
    return pg_catalog.clock_timestamp();
  end if;
  return v_set::timestamptz;
end
$$;
comment on function bloud.clock() is
  'Returns the time that is recorded with every row. Tests can set another time, for example with set '
  'bloud.clock = ''2026-01-01''.';

create or replace function bloud.is_relay() returns boolean
language sql stable parallel safe as $$
  select coalesce(pg_catalog.current_setting('bloud.origin', true), '') in ('web', 'api')
    and pg_catalog.pg_has_role(session_user, 'bloud_relay', 'member')
$$;
comment on function bloud.is_relay() is
  'True if the relay (HTTP server) has set the origin of the changes. An operator can''t forge an origin.';

create or replace function bloud.session_actor() returns text
language sql stable parallel safe as $$
  select case
    when pg_catalog.current_setting('role') = 'bloud_orchestrator' then 'bloud_orchestrator'
    when pg_catalog.current_setting('role') <> 'none' and bloud.is_relay() then
      pg_catalog.current_setting('role')
    else session_user::text end
$$;
comment on function bloud.session_actor() is
  'Returns the login of the session, also after SET ROLE. Returns the role that the relay (HTTP server) or '
  'the orchestrator (worker process) has assumed.';

create or replace function bloud.session_origin() returns text
language plpgsql stable parallel safe as $$
begin
  if bloud.session_actor() = 'bloud_orchestrator' then
    return 'agent';
  end if;
  if bloud.is_relay() then
    return pg_catalog.current_setting('bloud.origin', true);
  end if;
  return 'psql';
end
$$;
comment on function bloud.session_origin() is
  'Returns the origin of changes in this session: web (web page) or api (HTTP API) for the relay, agent for '
  'the orchestrator, or else psql.';

create or replace function bloud.schema_version() returns text
language sql stable as $$
  select m.name from bloud.migrations m order by m.id desc limit 1
$$;
comment on function bloud.schema_version() is
  'Returns the name of the last migration that was applied to this database.';

-- The type is in this file because functions in other files use the type, and this file is applied first.
do $$
begin
  create type bloud.refusal as (sqlstate text, message text, detail text, hint text);
exception when duplicate_object then
  null;
end
$$;
comment on type bloud.refusal is
  'Reason why an action such as an install is refused: an error code beginning with BL, message, detail and '
  'hint.';
