-- The session: the actor, the origin and the time that are recorded with each operation and event.
--
--   actor    the role assumed with SET ROLE, or else the login
--   origin   web | api    a session of the relay, which names one of them with: set local bloud.origin
--            agent        a session of the orchestrator
--            psql         any other session
--   time     the server's clock, or the clock that the owner has set for the session (tests)
--
-- All three are taken from the session and never from an argument, because an argument could be forged.
-- This file is applied before all others of the folder, because their functions use the type bloud.refusal.
-- Errors raised: none.

create or replace function bloud.clock() returns timestamptz
language plpgsql stable parallel safe as $$
declare
  v_set text := pg_catalog.current_setting('bloud.clock', true);
begin
  -- Only a login that may assume the owner's role can set the clock: no operator can forge a time in the
  -- history.
  if v_set is null or v_set = '' or not pg_catalog.pg_has_role(session_user, 'bloud_owner', 'member') then
    return pg_catalog.clock_timestamp();
  end if;
  return v_set::timestamptz;
end
$$;
comment on function bloud.clock() is
  'Returns the time that is recorded with every row. The owner may set it for a session (set bloud.clock = '
  '''2026-01-01''), so that no test has to wait for a deadline.';

create or replace function bloud.session_actor() returns text
language sql stable parallel safe as $$
  select coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user::text)
$$;
comment on function bloud.session_actor() is
  'Returns the actor of this session: the role assumed with SET ROLE, or else the login.';

create or replace function bloud.session_origin() returns text
language plpgsql stable parallel safe as $$
declare
  v_origin text := pg_catalog.current_setting('bloud.origin', true);
begin
  if bloud.session_actor() = 'bloud_orchestrator' then
    return 'agent';
  end if;
  -- Only the relay acts for other clients, so the setting counts in a session of the relay only.
  if v_origin in ('web', 'api') and pg_catalog.pg_has_role(session_user, 'bloud_relay', 'member') then
    return v_origin;
  end if;
  return 'psql';
end
$$;
comment on function bloud.session_origin() is
  'Returns the origin of this session: web or api (through the relay), agent (the orchestrator), psql (any '
  'other session).';

create or replace function bloud.schema_version() returns text
language sql stable as $$
  select m.name from bloud.migrations m order by m.id desc limit 1
$$;
comment on function bloud.schema_version() is
  'Returns the name of the last migration applied to this database.';

-- A refusal is a value before it is an error, so that a verb raises exactly what a view shows for its
-- control.
do $$
begin
  create type bloud.refusal as (sqlstate text, message text, detail text, hint text);
exception when duplicate_object then
  null;
end
$$;
comment on type bloud.refusal is
  'Reason why a verb would be refused: SQLSTATE of class BL, message, detail, hint.';
