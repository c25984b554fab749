-- Functions that return the actor, the origin and the time that are recorded with each operation and event.
--
--   actor    the role assumed with SET ROLE, or else the login
--   origin   web | api    a session of the relay, which sets the setting bloud.origin
--            agent        a session of the orchestrator
--            psql         any other session
--   time     the server's clock, or the clock that the owner has set for the session (tests)
--
-- The values come from the session and never from an argument, because a caller could forge an argument. This
-- file is applied before the other files of the folder, because this file creates the type bloud.refusal.
-- Errors raised: none.

create or replace function bloud.clock() returns timestamptz
language plpgsql stable parallel safe as $$
declare
  v_set text := pg_catalog.current_setting('bloud.clock', true);
begin
  -- Ignores the setting bloud.clock unless the login may assume the role bloud_owner, so that no operator can
  -- forge a time in the history.
  if v_set is null or v_set = '' or not pg_catalog.pg_has_role(session_user, 'bloud_owner', 'member') then
    return pg_catalog.clock_timestamp();
  end if;
  return v_set::timestamptz;
end
$$;
comment on function bloud.clock() is
  'Returns the time that is recorded with every row. Only the owner can set another time for a session (set '
  'bloud.clock = ''2026-01-01''), for tests of deadlines.';

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
  -- Ignores the setting bloud.origin unless the session belongs to the relay, because only the relay acts for
  -- other clients.
  if v_origin in ('web', 'api') and pg_catalog.pg_has_role(session_user, 'bloud_relay', 'member') then
    return v_origin;
  end if;
  return 'psql';
end
$$;
comment on function bloud.session_origin() is
  'Returns the origin of the session: web or api for the relay, agent for the orchestrator, psql for any '
  'other session.';

create or replace function bloud.schema_version() returns text
language sql stable as $$
  select m.name from bloud.migrations m order by m.id desc limit 1
$$;
comment on function bloud.schema_version() is
  'Returns the name of the last migration applied to this database.';

-- Type of a refusal. A verb raises a refusal as an error; the view app_status shows refusals in controls.
do $$
begin
  create type bloud.refusal as (sqlstate text, message text, detail text, hint text);
exception when duplicate_object then
  null;
end
$$;
comment on type bloud.refusal is
  'Reason why a verb (install, uninstall …) is refused: SQLSTATE of class BL, message, detail and hint.';
