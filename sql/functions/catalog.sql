-- Functions that store the catalog, the list of apps that can be installed. The orchestrator (worker process)
-- reads one file per app and passes the contents to sync_catalog(), which replaces the rows of
-- bloud.catalog_cache. If the file of an app is gone, the row is deleted, or kept as unavailable if
-- the app has a row in bloud.apps.
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.sync_catalog(
  p_attempt bigint, p_entries jsonb, p_problems jsonb default '[]') returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_changed integer;
  v_removed text[];
begin
  perform bloud.assert_attempt(p_attempt);
  -- Keeps the entry of an app that another transaction has locked, because that transaction may be installing
  -- the app.
  v_removed := array(select r.name from (select c.name from bloud.catalog_cache c
      where not exists (select from jsonb_array_elements(p_entries) e where e ->> 'name' = c.name) offset 0) r
    where bloud.try_lock_app(r.name));
  delete from bloud.catalog_cache c
  where c.name = any (v_removed) and not exists (select from bloud.apps a where a.name = c.name);
  update bloud.catalog_cache c set unavailable = 'It is no longer in the catalog.', updated_at = bloud.clock()
  where not exists (select from jsonb_array_elements(p_entries) e where e ->> 'name' = c.name);
  perform bloud.add_lock_keys(p_entries);
  insert into bloud.catalog_cache as c (name, yaml_content, updated_at, entry, display_name, description,
    category, version, port, is_system, unavailable, warnings)
  select e ->> 'name', e ->> 'yaml_content', bloud.clock(), e -> 'entry', e ->> 'display_name',
    e ->> 'description', e ->> 'category', e ->> 'version', (e ->> 'port')::integer,
    (e ->> 'is_system')::boolean, e ->> 'unavailable', coalesce(e -> 'warnings', '[]')
  from jsonb_array_elements(p_entries) e
  on conflict (name) do update set yaml_content = excluded.yaml_content, updated_at = excluded.updated_at,
    entry = excluded.entry, display_name = excluded.display_name, description = excluded.description,
    category = excluded.category, version = excluded.version, port = excluded.port,
    is_system = excluded.is_system, unavailable = excluded.unavailable, warnings = excluded.warnings
  where (c.entry, c.yaml_content, c.unavailable) is distinct from
        (excluded.entry, excluded.yaml_content, excluded.unavailable);
  get diagnostics v_changed = row_count;
  delete from bloud.catalog_problems;
  insert into bloud.catalog_problems (file, line, reason, found_at)
  select p ->> 'file', (p ->> 'line')::integer, p ->> 'reason', bloud.clock()
  from jsonb_array_elements(p_problems) p;
  update bloud.operations set state = 'succeeded', finished_at = bloud.clock()
  where kind = 'refresh_catalog' and state = 'queued';
  return v_changed;
end
$$;
comment on function bloud.sync_catalog(bigint, jsonb, jsonb) is
  'Replaces the catalog by the entries read from the catalog files, and ends a queued refresh of the catalog '
  'as succeeded. Returns the number of new or changed entries.';

create or replace function bloud.fail_refresh(p_attempt bigint, p_cause jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.operations set state = 'failed', finished_at = bloud.clock(), cause = p_cause
  where kind = 'refresh_catalog' and state = 'queued';
end
$$;
comment on function bloud.fail_refresh(bigint, jsonb) is
  'Ends a queued refresh of the catalog as failed, because the catalog files can''t be read.';

create or replace function bloud.refresh_catalog() returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  loop
    insert into bloud.operations (kind, requested_by, origin, requested_at)
    values ('refresh_catalog', '', 'psql', bloud.clock())
    on conflict do nothing returning * into v_operation;
    exit when found;
    select * into v_operation from bloud.operations o where o.kind = 'refresh_catalog' and o.state = 'queued';
    exit when found; -- repeats the insert if the queued refresh has ended since the failed insert
  end loop;
  return v_operation;
end
$$;
comment on function bloud.refresh_catalog() is
  'Requests that the orchestrator (worker process) reads the catalog files again. Returns the operation.';
