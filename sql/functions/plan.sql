-- Functions that compute a plan: what install() or uninstall() would do. Nothing is written.
--
-- The plan of an install has installs (apps to install, dependencies first), choices (one per slot) and
-- blockers (reasons why the install is refused). A slot is a named place for a dependency in the catalog
-- entry of an app, for example "database", with a list of compatible apps. These apps fill a slot:
--
--   if the operator chose apps                 the chosen apps, or error BL008 if they are not compatible
--   if one compatible app is installed         the installed app
--   if several compatible apps are installed   all of them if the slot accepts several, or else BL007
--   if no compatible app is installed          the default of a required slot, or BL007 without a default;
--                                              no app if the slot is optional
--
-- Errors raised: BL002 invalid_name, BL017 invalid_options. Blockers: BL001 unknown_app, BL007 choice_needed,
-- BL008 choice_not_compatible, BL009 dependency_cycle, BL012 port_taken, BL017 invalid_options, and every
-- refusal of an install (refusal.sql).

create or replace function bloud.is_installed(p_app text) returns boolean
language sql stable as $$
  select exists (select from bloud.apps a
    where a.name = p_app and a.status not in ('failed', 'stopped', 'stopping'))
$$;
comment on function bloud.is_installed(text) is
  'True if the app is installed or is being installed, so that other apps can depend on the app.';

create or replace function bloud.fill_slot(p_app text, p_slot text, p_spec jsonb, p_choice jsonb)
returns jsonb
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
        format('Compatible: %s%s.', array_to_string(v_compatible, ', '),
          case when v_multi then '' else ' (one of them)' end),
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
  'Returns the apps chosen for one slot (for example "database") of an app, or a refusal if the operator '
  'must choose or has made an impossible choice.';

create or replace function bloud.add_blocker(p_plan jsonb, p_refusal bloud.refusal) returns jsonb
language sql immutable as $$
  select jsonb_set(p_plan, '{blockers}', (p_plan -> 'blockers') || to_jsonb(p_refusal))
$$;
comment on function bloud.add_blocker(jsonb, bloud.refusal) is
  'Returns the plan with one more blocker (reason why the plan is refused).';

create or replace function bloud.resolve_dependencies(
  p_app text, p_choices jsonb, p_path text[], p_plan jsonb) returns jsonb
language plpgsql stable as $$
declare
  v_entry bloud.catalog_cache;
  v_slot record;
  v_filled jsonb;
  v_name text;
  v_refusal bloud.refusal;
begin
  if p_app = any (p_path) then
    v_refusal := ('BL009', format('%s depends on itself', p_app),
      format('Cycle: %s.', array_to_string(p_path || p_app, ' → ')),
      'Correct the catalog, or choose another app for one of the slots.');
    return bloud.add_blocker(p_plan, v_refusal);
  elsif p_plan -> 'config' ? p_app then
    return p_plan;
  end if;
  select * into v_entry from bloud.catalog_cache c where c.name = p_app;
  if not found then
    v_refusal := ('BL001', format('There is no app %s in the catalog', p_app),
      case when cardinality(p_path) > 0 then format('%s depends on it.', p_path[cardinality(p_path)]) end,
      'List the catalog with: select name from bloud.catalog;');
    return bloud.add_blocker(p_plan, v_refusal);
  end if;
  p_plan := jsonb_set(p_plan, array['config', p_app], '{}');
  for v_slot in
    select e.key, e.value from jsonb_each(coalesce(v_entry.entry -> 'integrations', '{}')) e order by e.key
  loop
    v_filled := bloud.fill_slot(p_app, v_slot.key, v_slot.value, coalesce(
      p_choices -> (p_app || '.' || v_slot.key),
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
        p_plan := bloud.resolve_dependencies(v_name, p_choices, p_path || p_app, p_plan);
      end if;
    end loop;
  end loop;
  return jsonb_set(p_plan, '{installs}', (p_plan -> 'installs') || to_jsonb(p_app));
end
$$;
comment on function bloud.resolve_dependencies(text, jsonb, text[], jsonb) is
  'Returns the plan with an app added after its dependencies. p_path is the chain of dependencies from the '
  'requested app to p_app.';

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
  v_plan := bloud.resolve_dependencies(plan_install.app, coalesce(options -> 'choices', '{}'), '{}',
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
      format('All of them would be installed with %s.', plan_install.app),
      'Choose one of them, or change a port in the catalog.');
    v_plan := bloud.add_blocker(v_plan, v_refusal);
  end loop;
  -- Choices for apps that are already installed are accepted, because retry() repeats all choices of the
  -- failed install, and some of the dependencies may be installed by now.
  select array_agg(k.key) into v_unknown from jsonb_object_keys(coalesce(options -> 'choices', '{}')) k (key)
  where not exists (
    select from bloud.catalog_cache c cross join jsonb_object_keys(c.entry -> 'integrations') s (slot)
    where k.key = c.name || '.' || s.slot or (c.name = plan_install.app and k.key = s.slot));
  if v_unknown is not null then
    select string_agg(case when s ->> 'app' = plan_install.app then s ->> 'slot'
      else s ->> 'app' || '.' || (s ->> 'slot') end, ', ')
    into v_known from jsonb_array_elements(v_plan -> 'choices') s;
    v_refusal := ('BL017',
      format('%s has no slot %s', plan_install.app, left(array_to_string(v_unknown, ', '), 80)),
      format('Slots: %s.', coalesce(v_known, 'none')), 'Omit choices for other slots.');
    v_plan := bloud.add_blocker(v_plan, v_refusal);
  end if;
  return v_plan;
end
$$;
comment on function bloud.plan_install(text, jsonb) is
  'Returns what install(app, options) would do: the apps to install in order, the apps chosen for each slot '
  '(need of an app, such as its database), and the reasons why the install is refused (blockers).';

create or replace function bloud.needs_of(p_app bloud.apps) returns setof text
language sql stable as $$
  select n.name from bloud.catalog_cache c
  cross join lateral jsonb_each(p_app.integration_config) s
  cross join lateral jsonb_array_elements_text(s.value) as n (name)
  where c.name = p_app.name and (c.entry #>> array['integrations', s.key, 'required'])::boolean
$$;
comment on function bloud.needs_of(bloud.apps) is
  'Returns the names of the apps without which an app can''t work.';

create or replace function bloud.required_by(p_app text) returns text[]
language plpgsql stable as $$
begin
  -- Most apps are in no slot of another app, and this query takes a tenth of the time of the next one. It
  -- counts, because for exists() PostgreSQL would read all apps instead of the index apps_by_choice.
  if (select count(*) from bloud.apps a
      where jsonb_path_query_array(a.integration_config, '$.*[*]') ? p_app) = 0 then
    return '{}';
  end if;
  return (
    select coalesce(array_agg(a.name order by a.name), '{}')
    from bloud.apps a join bloud.catalog_cache c on c.name = a.name
    where jsonb_path_query_array(a.integration_config, '$.*[*]') ? p_app -- uses the index apps_by_choice
      and a.status not in ('failed', 'stopped', 'stopping') and a.name <> p_app and exists (
      select from jsonb_each(a.integration_config) s
      where s.value ? p_app and (c.entry #>> array['integrations', s.key, 'required'])::boolean));
end
$$;
comment on function bloud.required_by(text) is
  'Returns the names of the installed apps that can''t work without an app.';

create or replace function bloud.plan_uninstall(app text, purge boolean default false) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_refusal bloud.refusal;
begin
  perform bloud.check_name(plan_uninstall.app);
  v_refusal := bloud.refusal_of(case when purge then 'purge' else 'uninstall' end, plan_uninstall.app);
  return jsonb_build_object('app', plan_uninstall.app, 'removes', jsonb_build_array(plan_uninstall.app),
    'data', case when purge then 'deleted' else 'kept' end,
    'required_by', to_jsonb(bloud.required_by(plan_uninstall.app)),
    'blockers',
    case when v_refusal.sqlstate is null then '[]'::jsonb else jsonb_build_array(to_jsonb(v_refusal)) end);
end
$$;
comment on function bloud.plan_uninstall(text, boolean) is
  'Returns what uninstall(app, purge) would do. Writes nothing.';
