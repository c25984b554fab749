-- The catalog: what could be installed, and what an install would bring along.
--
-- An app's catalog entry has slots (integrations). Each slot names compatible apps:
--   a choice was given            every chosen app must be compatible (BL008), one unless the slot is multi
--   one compatible app installed  it is used without asking
--   several installed             all of them if the slot is multi, otherwise a choice is needed (BL007)
--   none installed                a required slot installs its default; without default a choice is needed (BL007)
-- Dependencies are followed until nothing new comes; a circle is refused (BL009).

create or replace function bloud.sync_catalog(p_attempt bigint, p_entries jsonb, p_problems jsonb default '[]')
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_changed integer;
  v_gone text[];
begin
  perform bloud.assert_attempt(p_attempt);
  -- An app held by somebody may be about to be installed: its entry goes another time.
  v_gone := array(select c.name from bloud.catalog_cache c
    where not exists (select from jsonb_array_elements(p_entries) e where e ->> 'name' = c.name)
      and pg_try_advisory_xact_lock(45069, hashtext(c.name)));
  delete from bloud.catalog_cache c
  where c.name = any (v_gone) and not exists (select from bloud.apps a where a.name = c.name);
  update bloud.catalog_cache c set unavailable = 'It is no longer in the catalog.', updated_at = bloud.clock()
  where not exists (select from jsonb_array_elements(p_entries) e where e ->> 'name' = c.name); -- installed: kept
  insert into bloud.catalog_cache as c (name, yaml_content, updated_at, entry, display_name, description, category,
    version, port, is_system, unavailable, warnings)
  select e ->> 'name', e ->> 'yaml_content', bloud.clock(), e -> 'entry', e ->> 'display_name', e ->> 'description',
    e ->> 'category', e ->> 'version', (e ->> 'port')::integer, (e ->> 'is_system')::boolean, e ->> 'unavailable',
    coalesce(e -> 'warnings', '[]')
  from jsonb_array_elements(p_entries) e
  on conflict (name) do update set yaml_content = excluded.yaml_content, updated_at = excluded.updated_at,
    entry = excluded.entry, display_name = excluded.display_name, description = excluded.description,
    category = excluded.category, version = excluded.version, port = excluded.port, is_system = excluded.is_system,
    unavailable = excluded.unavailable, warnings = excluded.warnings
  where (c.entry, c.yaml_content, c.unavailable) is distinct from
        (excluded.entry, excluded.yaml_content, excluded.unavailable);
  get diagnostics v_changed = row_count;
  delete from bloud.catalog_problems;
  insert into bloud.catalog_problems (file, line, reason, found_at)
  select p ->> 'file', (p ->> 'line')::integer, p ->> 'reason', bloud.clock() from jsonb_array_elements(p_problems) p;
  update bloud.operations set state = 'succeeded', finished_at = bloud.clock()
  where kind = 'refresh_catalog' and state = 'queued';
  return v_changed;
end
$$;
comment on function bloud.sync_catalog(bigint, jsonb, jsonb) is
  'Orchestrator: replaces the catalog with what the files say now, and ends the requests for that. Returns how many entries are new or changed.';

create or replace function bloud.fail_refresh(p_attempt bigint, p_cause jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.operations set state = 'failed', finished_at = bloud.clock(), cause = p_cause
  where kind = 'refresh_catalog' and state = 'queued';
end
$$;
comment on function bloud.fail_refresh(bigint, jsonb) is
  'Orchestrator: the catalog files can''t be read; ends the requests for that.';

create or replace function bloud.refresh_catalog() returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  loop
    insert into bloud.operations (kind, requested_by, origin, requested_at) values ('refresh_catalog', '', 'psql', bloud.clock())
    on conflict do nothing returning * into v_operation;
    exit when found;
    select * into v_operation from bloud.operations o where o.kind = 'refresh_catalog' and o.state = 'queued';
    exit when found; -- else it has just ended
  end loop;
  return v_operation;
end
$$;
comment on function bloud.refresh_catalog() is
  'Asks the orchestrator to read the catalog files again; it does so within seconds. Returns the operation; asking again returns the one on its way.';

create or replace function bloud.is_installed(p_app text) returns boolean
language sql stable as $$
  select exists (select from bloud.apps a
    where a.name = p_app and a.status not in ('failed', 'stopped', 'stopping'))
$$;
comment on function bloud.is_installed(text) is 'Whether others may build on the app: it is on, or on its way.';

create or replace function bloud.fill_slot(p_app text, p_slot text, p_spec jsonb, p_choice jsonb) returns jsonb
language plpgsql stable as $$
declare
  v_compatible text[] := array(select c ->> 'app' from jsonb_array_elements(p_spec -> 'compatible') c);
  v_installed text[] := array(select n from unnest(v_compatible) n where bloud.is_installed(n) order by n);
  v_default text := (select c ->> 'app' from jsonb_array_elements(p_spec -> 'compatible') c
                     where (c ->> 'default')::boolean limit 1);
  v_required boolean := coalesce((p_spec ->> 'required')::boolean, false);
  v_multi boolean := coalesce((p_spec ->> 'multi')::boolean, false);
  v_chosen text[];
  v_refusal bloud.refusal;
begin
  if p_choice is not null and jsonb_typeof(p_choice) <> 'null' then
    v_chosen := array(select jsonb_array_elements_text(
      case when jsonb_typeof(p_choice) = 'array' then p_choice else jsonb_build_array(p_choice) end));
    if not v_chosen <@ v_compatible or (cardinality(v_chosen) > 1 and not v_multi)
       or (cardinality(v_chosen) = 0 and v_required) then
      v_refusal := ('BL008', format('%s can''t use %s for %s', p_app,
          coalesce(nullif(left(array_to_string(v_chosen, ', '), 80), ''), 'nothing'), p_slot),
        format('Compatible: %s%s.', array_to_string(v_compatible, ', '), case when v_multi then '' else ' (one of them)' end),
        format('Choose with: select bloud.install(%L, %L);', p_app, jsonb_build_object('choices',
          jsonb_build_object(p_slot, coalesce(v_default, v_compatible[1])))));
    end if;
  elsif cardinality(v_installed) = 1 or (cardinality(v_installed) > 1 and v_multi) then
    v_chosen := v_installed;
  elsif cardinality(v_installed) = 0 and (not v_required or v_default is not null) then
    v_chosen := case when v_required then array[v_default] else '{}' end;
  else
    v_refusal := ('BL007', format('%s needs a choice for %s', p_app, p_slot),
      format('Compatible: %s.', array_to_string(v_compatible, ', ')),
      format('Choose with: select bloud.install(%L, %L);', p_app, jsonb_build_object('choices',
        jsonb_build_object(p_slot, coalesce(v_installed[1], v_compatible[1])))));
  end if;
  return jsonb_build_object('app', p_app, 'slot', p_slot, 'required', v_required, 'multi', v_multi,
    'installed', to_jsonb(v_installed), 'available', to_jsonb(v_compatible),
    'recommended', coalesce(v_installed[1], v_default), 'chosen', to_jsonb(v_chosen),
    'refusal', case when v_refusal.sqlstate is not null then to_jsonb(v_refusal) end);
end
$$;
comment on function bloud.fill_slot(text, text, jsonb, jsonb) is
  'Which apps fill a slot of an app, with the refusal if that can''t be said without a choice.';

create or replace function bloud.add_blocker(p_plan jsonb, p_refusal bloud.refusal) returns jsonb
language sql immutable as $$
  select jsonb_set(p_plan, '{blockers}', (p_plan -> 'blockers') || to_jsonb(p_refusal))
$$;
comment on function bloud.add_blocker(jsonb, bloud.refusal) is 'The plan with one more reason why it can''t be carried out.';

create or replace function bloud.resolve(p_app text, p_choices jsonb, p_path text[], p_plan jsonb) returns jsonb
language plpgsql stable as $$
declare
  v_entry bloud.catalog_cache;
  v_slot record;
  v_filled jsonb;
  v_name text;
  v_refusal bloud.refusal;
begin
  if p_app = any (p_path) then
    v_refusal := ('BL009', format('%s needs itself', p_app),
      format('The circle: %s.', array_to_string(p_path || p_app, ' → ')), 'Correct the catalog, or choose another app for one of the slots.');
    return bloud.add_blocker(p_plan, v_refusal);
  elsif p_plan -> 'config' ? p_app then
    return p_plan;
  end if;
  select * into v_entry from bloud.catalog_cache c where c.name = p_app;
  if not found then
    v_refusal := ('BL001', format('There is no app %s in the catalog', p_app),
      case when cardinality(p_path) > 0 then format('%s asks for it.', p_path[cardinality(p_path)]) end,
      'See what there is with: select name from bloud.catalog;');
    return bloud.add_blocker(p_plan, v_refusal);
  end if;
  p_plan := jsonb_set(p_plan, array['config', p_app], '{}');
  for v_slot in select e.key, e.value from jsonb_each(coalesce(v_entry.entry -> 'integrations', '{}')) e order by e.key loop
    v_filled := bloud.fill_slot(p_app, v_slot.key, v_slot.value, coalesce(p_choices -> (p_app || '.' || v_slot.key),
      case when cardinality(p_path) = 0 then p_choices -> v_slot.key end,
      (select a.integration_config -> v_slot.key from bloud.apps a
       where a.name = p_app and a.integration_config -> v_slot.key <> '[]')));
    p_plan := jsonb_set(p_plan, '{choices}', (p_plan -> 'choices') || (v_filled - 'refusal'));
    if jsonb_typeof(v_filled -> 'refusal') = 'object' then
      p_plan := bloud.add_blocker(p_plan, jsonb_populate_record(null::bloud.refusal, v_filled -> 'refusal'));
      continue;
    end if;
    p_plan := jsonb_set(p_plan, array['config', p_app, v_slot.key], v_filled -> 'chosen');
    for v_name in select jsonb_array_elements_text(v_filled -> 'chosen') loop
      if not bloud.is_installed(v_name) then
        p_plan := bloud.resolve(v_name, p_choices, p_path || p_app, p_plan);
      end if;
    end loop;
  end loop;
  return jsonb_set(p_plan, '{installs}', (p_plan -> 'installs') || to_jsonb(p_app));
end
$$;
comment on function bloud.resolve(text, jsonb, text[], jsonb) is
  'The plan with this app and all it needs added; dependencies come before what needs them.';

create or replace function bloud.plan_install(app text, options jsonb default '{}') returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_plan jsonb;
  v_name text;
  v_shared record;
  v_unknown text[];
  v_known text;
  v_refusal bloud.refusal;
begin
  perform bloud.check_name(plan_install.app);
  perform bloud.check_options(coalesce(options, '{}'));
  v_plan := bloud.resolve(plan_install.app, coalesce(options -> 'choices', '{}'), '{}',
    jsonb_build_object('app', plan_install.app, 'installs', '[]'::jsonb, 'config', '{}'::jsonb,
      'choices', '[]'::jsonb, 'blockers', '[]'::jsonb));
  for v_name in select jsonb_array_elements_text(v_plan -> 'installs') loop
    v_refusal := bloud.refusal_of('install', v_name);
    if v_refusal.sqlstate is not null then
      v_plan := bloud.add_blocker(v_plan, v_refusal);
    end if;
  end loop;
  for v_shared in
    select c.port, string_agg(c.name, ' and ' order by c.name) as names from bloud.catalog_cache c
    where v_plan -> 'installs' ? c.name and c.port is not null group by c.port having count(*) > 1
  loop
    v_refusal := ('BL012', format('%s would all use port %s', v_shared.names, v_shared.port),
      format('%s would bring them along.', plan_install.app), 'Choose one of them, or change a port in the catalog.');
    v_plan := bloud.add_blocker(v_plan, v_refusal);
  end loop;
  -- Slots of any app count: what was brought along last time may be installed when the same is asked again.
  select array_agg(k.key) into v_unknown from jsonb_object_keys(coalesce(options -> 'choices', '{}')) k (key)
  where not exists (select from bloud.catalog_cache c cross join jsonb_object_keys(c.entry -> 'integrations') s (slot)
    where k.key = c.name || '.' || s.slot or (c.name = plan_install.app and k.key = s.slot));
  if v_unknown is not null then
    select string_agg(case when s ->> 'app' = plan_install.app then s ->> 'slot' else s ->> 'app' || '.' || (s ->> 'slot') end, ', ')
    into v_known from jsonb_array_elements(v_plan -> 'choices') s;
    v_refusal := ('BL017', format('%s has no slot %s', plan_install.app, left(array_to_string(v_unknown, ', '), 80)),
      format('Slots: %s.', coalesce(v_known, 'none')), 'Leave out choices for other slots.');
    v_plan := bloud.add_blocker(v_plan, v_refusal);
  end if;
  return v_plan;
end
$$;
comment on function bloud.plan_install(text, jsonb) is
  'What install(app, options) would do, without doing it: installs (in order), choices per slot, blockers (refusals).';

create or replace function bloud.needs_of(p_app bloud.apps) returns setof text
language sql stable as $$
  select n.name from bloud.catalog_cache c
  cross join lateral jsonb_each(p_app.integration_config) s cross join lateral jsonb_array_elements_text(s.value) as n (name)
  where c.name = p_app.name and (c.entry #>> array['integrations', s.key, 'required'])::boolean
$$;
comment on function bloud.needs_of(bloud.apps) is 'What the app can''t do without, as it is configured.';

create or replace function bloud.required_by(p_app text) returns text[]
language sql stable as $$
  select coalesce(array_agg(a.name order by a.name), '{}')
  from bloud.apps a join bloud.catalog_cache c on c.name = a.name
  where jsonb_path_query_array(a.integration_config, '$.*[*]') ? p_app -- as the index has it: few apps, of hundreds
    and a.status not in ('failed', 'stopped', 'stopping') and a.name <> p_app and exists (
    select from jsonb_each(a.integration_config) s
    where s.value ? p_app and (c.entry #>> array['integrations', s.key, 'required'])::boolean)
$$;
comment on function bloud.required_by(text) is 'The installed apps that can''t do without this one.';

create or replace function bloud.plan_uninstall(app text, purge boolean default false) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_refusal bloud.refusal;
begin
  perform bloud.check_name(plan_uninstall.app);
  v_refusal := bloud.refusal_of(case when purge then 'purge' else 'uninstall' end, plan_uninstall.app);
  return jsonb_build_object('app', plan_uninstall.app, 'removes', jsonb_build_array(plan_uninstall.app),
    'data', case when purge then 'deleted' else 'kept' end, 'required_by', to_jsonb(bloud.required_by(plan_uninstall.app)),
    'blockers', case when v_refusal.sqlstate is null then '[]'::jsonb else jsonb_build_array(to_jsonb(v_refusal)) end);
end
$$;
comment on function bloud.plan_uninstall(text, boolean) is 'What uninstall(app, purge) would do, without doing it.';
