-- Who is asking, from where, and what time it is. Everything that is recorded about a caller comes from the session,
-- never from an argument.

create or replace function bloud.clock() returns timestamptz
language plpgsql stable parallel safe as $$
declare
  v_set text := pg_catalog.current_setting('bloud.clock', true);
begin
  -- Only who may become the owner can set the clock: tests and nobody else.
  if v_set is null or v_set = '' or not pg_catalog.pg_has_role(session_user, 'bloud_owner', 'member') then
    return pg_catalog.clock_timestamp();
  end if;
  return v_set::timestamptz;
end
$$;
comment on function bloud.clock() is
  'The time by which everything here is stamped. The owner may set it for a session (set bloud.clock = ''2026-01-01''), so that no test has to wait for a deadline.';

create or replace function bloud.session_actor() returns text
language sql stable parallel safe as $$
  select coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user::text)
$$;
comment on function bloud.session_actor() is
  'Who acts: the role assumed with SET ROLE, or else the login.';

create or replace function bloud.session_origin() returns text
language plpgsql stable parallel safe as $$
declare
  v_origin text := pg_catalog.current_setting('bloud.origin', true);
begin
  if bloud.session_actor() = 'bloud_orchestrator' then
    return 'agent';
  end if;
  -- Only the relay speaks for others; a session that isn't the relay is somebody's own.
  if v_origin in ('web', 'api') and pg_catalog.pg_has_role(session_user, 'bloud_relay', 'member') then
    return v_origin;
  end if;
  return 'psql';
end
$$;
comment on function bloud.session_origin() is
  'From where: web or api (through the relay), agent (the orchestrator), psql (any other session).';

-- A refusal is data first, so that a verb raises exactly what a view shows on the button.
do $$
begin
  create type bloud.refusal as (sqlstate text, message text, detail text, hint text);
exception when duplicate_object then
  null;
end
$$;
comment on type bloud.refusal is 'Why a verb would be refused: SQLSTATE of class BL, message, detail, hint.';

create or replace function bloud.refuse(p_refusal bloud.refusal) returns void
language plpgsql as $$
begin
  if p_refusal.sqlstate is null then
    return;
  elsif p_refusal.detail is null then
    raise exception using errcode = p_refusal.sqlstate, message = p_refusal.message, hint = p_refusal.hint;
  end if;
  raise exception using errcode = p_refusal.sqlstate, message = p_refusal.message, detail = p_refusal.detail,
    hint = p_refusal.hint;
end
$$;
comment on function bloud.refuse(bloud.refusal) is 'Raises the refusal; does nothing for one without SQLSTATE.';

create or replace function bloud.check_name(p_app text) returns void
language plpgsql immutable as $$
begin
  if p_app is null or p_app !~ '^[a-z][a-z0-9-]{0,62}$' then
    raise exception using errcode = 'BL002', message = format('%L can''t be the name of an app', left(p_app, 80)),
      detail = 'A name is 1 to 63 of a-z, 0-9 and -, and begins with a letter.',
      hint = 'See the names with: select name from bloud.catalog;';
  end if;
end
$$;
comment on function bloud.check_name(text) is 'Refuses (BL002) what can''t be the name of an app.';

create or replace function bloud.lock_apps(p_names text[]) returns void
language plpgsql as $$
declare
  v_name text;
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception using errcode = 'BL019', message = 'This can''t be asked in a transaction that looks at the past',
      detail = format('It is %s: it would not see what others did since it began.', current_setting('transaction_isolation')),
      hint = 'Ask outside of a transaction, or begin it with: begin isolation level read committed;';
  end if;
  -- A forgotten open transaction would keep the app's rebuild, and everybody in it, from ending.
  if current_setting('idle_in_transaction_session_timeout')::interval not between interval '1 ms' and interval '1 min' then
    perform set_config('idle_in_transaction_session_timeout', '1min', true);
  end if;
  perform pg_advisory_xact_lock_shared(45074, 0); -- only rollback() holds this alone: it may want every app
  -- Sorted, so that two callers never wait for each other. An app may have no row yet, hence no row lock.
  for v_name in select distinct n from unnest(p_names) as n order by n loop
    perform pg_advisory_xact_lock(45069, hashtext(v_name)); -- 45069: 0xb00d, this system's lock class
  end loop;
end
$$;
comment on function bloud.lock_apps(text[]) is
  'Holds these apps until the transaction ends, and ends the session if it then does nothing for a minute; other verbs on the same apps wait, all others go on.';

create or replace function bloud.lock_plan(p_plan jsonb) returns void
language plpgsql as $$
declare
  v_installs text[] := array(select jsonb_array_elements_text(p_plan -> 'installs'));
  v_name text;
  v_port integer;
begin
  perform bloud.lock_apps(v_installs || (p_plan ->> 'app'));
  -- What is built on must not be removed meanwhile; shared, as any number may build on it. Only uninstall() waits for it.
  for v_name in
    select distinct n.name from jsonb_each(p_plan -> 'config') c
    cross join jsonb_each(c.value) s cross join jsonb_array_elements_text(s.value) as n (name) order by n.name
  loop
    perform pg_advisory_xact_lock_shared(45072, hashtext(v_name));
  end loop;
  for v_port in select distinct c.port from bloud.catalog_cache c where c.name = any (v_installs) and c.port is not null order by c.port loop
    perform pg_advisory_xact_lock(45073, v_port);
  end loop;
end
$$;
comment on function bloud.lock_plan(jsonb) is
  'Holds what an install depends on until the transaction ends: its apps, the apps they build on, their ports.';

create or replace function bloud.schema_version() returns text
language sql stable as $$
  select m.name from bloud.migrations m order by m.id desc limit 1
$$;
comment on function bloud.schema_version() is 'The last migration this database has seen.';
