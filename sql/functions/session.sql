-- Functions that return the actor, the origin and the time that are recorded with each operation and event.
--
--   actor    the role assumed with SET ROLE, or else the login
--   origin   web | api    a session of the relay, which sets the setting bloud.origin
--            agent        a session of the orchestrator
--            psql         any other session
--   time     the server's clock, or the time that a test has set for the session
--
-- No value comes from an argument, because a caller could forge an argument.
-- Errors raised: none.

create or replace function bloud.clock() returns timestamptz
language plpgsql stable parallel safe as $$
declare
  v_set text := pg_catalog.current_setting('bloud.clock', true);
begin
  -- Ignores the setting bloud.clock unless the login may assume the role bloud_owner, so that no operator can
  -- forge a time.
  if v_set is null or v_set = '' or not pg_catalog.pg_has_role(session_user, 'bloud_owner', 'member') then
    return pg_catalog.clock_timestamp();
  end if;
  return v_set::timestamptz;
end
$$;
comment on function bloud.clock() is
  'Returns the time that is recorded with every row. Tests set another time as the owner, for example with '
  'set bloud.clock = ''2026-01-01''.';

create or replace function bloud.session_actor() returns text
language sql stable parallel safe as $$
  select coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user::text)
$$;
comment on function bloud.session_actor() is
  'Returns the actor of the session: the PostgreSQL role assumed with SET ROLE, or else the login.';

create or replace function bloud.session_origin() returns text
language plpgsql stable parallel safe as $$
declare
  v_origin text := pg_catalog.current_setting('bloud.origin', true);
begin
  if bloud.session_actor() = 'bloud_orchestrator' then
    return 'agent';
  end if;
  -- Ignores the setting bloud.origin in other sessions than those of the relay, so that no operator can forge
  -- an origin.
  if v_origin in ('web', 'api') and pg_catalog.pg_has_role(session_user, 'bloud_relay', 'member') then
    return v_origin;
  end if;
  return 'psql';
end
$$;
comment on function bloud.session_origin() is
  'Returns the origin of the session: web or api for the relay, agent for the orchestrator, or else psql.';

create or replace function bloud.schema_version() returns text
language sql stable as $$
  select m.name from bloud.migrations m order by m.id desc limit 1
$$;
comment on function bloud.schema_version() is
  'Returns the name of the last migration applied to this database.';

-- The type is created here, because this file is applied before all other files of the folder.
do $$
begin
  create type bloud.refusal as (sqlstate text, message text, detail text, hint text);
exception when duplicate_object then
  null;
end
$$;
comment on type bloud.refusal is
  'Reason why a verb (install, uninstall …) is refused: SQLSTATE of class BL, message, detail and hint.';
