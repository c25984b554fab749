-- Functions that lock apps for a verb (install, uninstall …) until the transaction of the verb ends.
--
-- A verb computes which apps to lock, locks these apps and computes the list again. If the list has changed
-- meanwhile, the verb releases the locks and starts again.
-- Every login may take an advisory lock, so none is used here. The locks are on tables without any privilege
-- for readers. Two of them are empty and are locked as a whole; the rows of bloud.lock_keys exist also for an
-- app that has no other row yet:
--
--   lock_keys, app:<name>         exclusive for every change of the app
--   lock_keys, dependency:<name>  shared for an install of an app that needs this app, exclusive for an
--                                 uninstall
--   lock_keys, port:<number>      exclusive for an install of an app that listens on the port
--   lock_verbs                    shared (row share) for every verb, exclusive for rollback(), which may
--                                 change any app; share update exclusive, which excludes only itself, from
--                                 the start of rollback(), so that two calls don't run at the same time
--   lock_events                   share update exclusive for the numbering of events, at the commit
--                                 (triggers.sql)
--
-- Apps are locked in the order of their names, so that two verbs never deadlock. claim_rebuild(),
-- report_health() and sweep() never wait for a lock, but skip the locked app.
-- Errors raised: BL019 wrong_isolation.

create or replace function bloud.lock_key(p_key text, p_shared boolean default false) returns void
language plpgsql as $$
begin
  loop
    if p_shared then
      perform from bloud.lock_keys l where l.key = p_key for share;
    else
      perform from bloud.lock_keys l where l.key = p_key for update;
    end if;
    exit when found;
    -- The row of an app of the catalog always exists (add_lock_keys), so this is an exception.
    insert into bloud.lock_keys (key) values (p_key) on conflict do nothing;
  end loop;
end
$$;
comment on function bloud.lock_key(text, boolean) is
  'Locks a row of bloud.lock_keys until the transaction ends, exclusively or shared.';

create or replace function bloud.try_lock_app(p_app text) returns boolean
language plpgsql as $$
declare
  v_key text := 'app:' || p_app;
begin
  perform from bloud.lock_keys l where l.key = v_key for update skip locked;
  if not found and not exists (select from bloud.lock_keys l where l.key = v_key) then
    insert into bloud.lock_keys (key) values (v_key) on conflict do nothing;
    perform from bloud.lock_keys l where l.key = v_key for update skip locked;
  end if;
  return found;
end
$$;
comment on function bloud.try_lock_app(text) is
  'Locks an app until the transaction ends and returns true. Returns false at once if another transaction '
  'has locked the app.';

create or replace function bloud.add_lock_keys(p_entries jsonb) returns void
language sql as $$
  insert into bloud.lock_keys (key)
  select distinct k.key from jsonb_array_elements(p_entries) e
  cross join lateral (values ('app:' || (e ->> 'name')), ('dependency:' || (e ->> 'name')),
    ('port:' || (e ->> 'port'))) as k (key)
  where k.key is not null and not exists (select from bloud.lock_keys l where l.key = k.key)
  on conflict do nothing
$$;
comment on function bloud.add_lock_keys(jsonb) is
  'Adds the missing rows of bloud.lock_keys for the apps of the catalog, so that no verb waits for another '
  'transaction that adds the same row.';

create or replace function bloud.lock_apps(p_names text[]) returns void
language plpgsql as $$
declare
  v_name text;
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception using errcode = 'BL019',
      message = 'A verb can''t be called in a transaction with an old snapshot',
      detail = format('Its isolation level is %s: changes committed since it began are invisible to it.',
        current_setting('transaction_isolation')),
      hint = 'Call it outside of a transaction, or begin with: begin isolation level read committed;';
  end if;
  -- Sets the idle-in-transaction timeout to a minute at most, because a rebuild can't end while another
  -- session holds a lock of its apps.
  if current_setting('idle_in_transaction_session_timeout')::interval
     not between interval '1 ms' and interval '1 min' then
    perform set_config('idle_in_transaction_session_timeout', '1min', true);
  end if;
  lock table bloud.lock_verbs in row share mode;
  for v_name in select distinct n from unnest(p_names) as n where n is not null order by n loop
    perform bloud.lock_key('app:' || v_name);
  end loop;
end
$$;
comment on function bloud.lock_apps(text[]) is
  'Locks the given apps until the transaction ends; null is ignored. PostgreSQL ends the session if the '
  'transaction is idle for a minute.';

create or replace function bloud.lock_plan(p_plan jsonb) returns void
language plpgsql as $$
declare
  v_installs text[] := array(select jsonb_array_elements_text(p_plan -> 'installs'));
  v_name text;
  v_port integer;
begin
  perform bloud.lock_apps(v_installs || (p_plan ->> 'app'));
  -- Keeps other transactions from uninstalling the dependencies. The lock is shared, because several installs
  -- may need the same dependency.
  for v_name in
    select distinct n.name from jsonb_each(p_plan -> 'config') c
    cross join jsonb_each(c.value) s cross join jsonb_array_elements_text(s.value) as n (name) order by n.name
  loop
    perform bloud.lock_key('dependency:' || v_name, true);
  end loop;
  for v_port in
    select distinct c.port from bloud.catalog_cache c
    where c.name = any (v_installs) and c.port is not null order by c.port
  loop
    perform bloud.lock_key('port:' || v_port);
  end loop;
end
$$;
comment on function bloud.lock_plan(jsonb) is
  'Locks the apps of an install plan, their dependencies and their ports until the transaction ends.';

create or replace function bloud.lock_install(p_app text, p_options jsonb) returns jsonb
language plpgsql as $$
declare
  v_plan jsonb;
begin
  loop
    v_plan := bloud.plan_install(p_app, p_options);
    begin
      perform bloud.lock_plan(v_plan);
      exit when bloud.plan_install(p_app, p_options) = v_plan;
      raise serialization_failure;
    exception when serialization_failure then
      null; -- the locks are released and the plan is computed again, because an app has changed
    end;
  end loop;
  return v_plan;
end
$$;
comment on function bloud.lock_install(text, jsonb) is
  'Plans an install, locks the apps, dependencies and ports of the plan until the transaction ends, and '
  'returns the plan.';

create or replace function bloud.lock_related(p_app text) returns bloud.operations
language plpgsql as $$
declare
  v_names text[];
begin
  loop
    v_names := bloud.apps_with(p_app) || bloud.dependencies_queued_for(p_app);
    begin
      perform bloud.lock_apps(v_names);
      exit when v_names = bloud.apps_with(p_app) || bloud.dependencies_queued_for(p_app);
      raise serialization_failure;
    exception when serialization_failure then
      null; -- the locks are released and taken again, because the list of apps has changed
    end;
  end loop;
  return bloud.open_operation(p_app);
end
$$;
comment on function bloud.lock_related(text) is
  'Locks an app together with all apps whose operations would be cancelled with the operation of the app. '
  'Returns the open operation of the app.';
