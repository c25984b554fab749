-- Function rollback(), which returns the machine to the generation (complete configuration) before the
-- current one.
--
-- rollback() inserts an operation of kind rollback, and an uninstall or install for each app that differs.
-- All these operations succeed, fail or are cancelled together. A second rollback goes one generation further
-- back.
-- Errors raised: BL004 busy, BL021 nothing_to_roll_back.

create or replace function bloud.find_rollback(
  out current_generation text, out target text, out desired jsonb)
language plpgsql stable as $$
declare
  v_switch bloud.rebuilds;
begin
  -- A rebuild that waited may end after rebuilds with greater ids, so rebuilds are ordered by their end.
  select r.generation_after into current_generation from bloud.rebuilds r
  where r.state = 'succeeded' order by r.finished_at desc, r.id desc limit 1;
  select * into v_switch from bloud.rebuilds r
  where r.state = 'succeeded' and r.rolls_back_to is null and r.generation_after = current_generation
    and r.generation_before is distinct from r.generation_after
  order by r.finished_at desc, r.id desc limit 1;
  target := v_switch.generation_before;
  select r.desired into desired from bloud.rebuilds r
  where r.state = 'succeeded' and r.generation_after = target order by r.finished_at desc, r.id desc limit 1;
  -- The generation before the first rebuild of the agent contains no apps of the agent.
  if not found and not (select s.rebuilds_pruned from bloud.stream s) and not exists (
      select from bloud.rebuilds r
      where r.state = 'succeeded' and (r.finished_at, r.id) < (v_switch.finished_at, v_switch.id)) then
    desired := '{}';
  end if;
end
$$;
comment on function bloud.find_rollback() is
  'Returns the current generation (complete configuration of the machine), the generation before it '
  '(target), and the apps of that generation (desired). A value that is not known is null.';

create or replace function bloud.refusal_of_rollback() returns bloud.refusal
language plpgsql stable as $$
declare
  v_open text;
  v_found record;
  v_missing text;
begin
  select string_agg(format('%s %s', o.kind, o.app), ', ' order by o.id) into v_open
  from bloud.operations o where o.state in ('queued', 'active') and o.kind <> 'refresh_catalog';
  if v_open is not null then
    return ('BL004', 'Other work is on its way', format('Under way: %s.', v_open),
      'Wait for it, or cancel it, then roll back.')::bloud.refusal;
  end if;
  select * into v_found from bloud.find_rollback();
  if v_found.current_generation is null then
    return ('BL021', 'There is nothing to roll back to', 'The agent has not activated a generation yet.',
      'Install something first.')::bloud.refusal;
  elsif v_found.target is null then
    return ('BL021', 'There is nothing to roll back to',
      format('The generation before generation %s is not known.', v_found.current_generation),
      'Uninstall the apps you don''t want.')::bloud.refusal;
  elsif v_found.desired is null then
    return ('BL021', 'There is nothing to roll back to',
      format('Generation %s, which was active before, was not made by the agent: its apps are not known.',
        v_found.target),
      'Uninstall the apps you don''t want.')::bloud.refusal;
  end if;
  select string_agg(d.name, ', ' order by d.name) into v_missing
  from jsonb_object_keys(v_found.desired) as d (name)
  where not exists (select from bloud.catalog_cache c where c.name = d.name);
  if v_missing is not null then
    return ('BL021', 'There is nothing to roll back to',
      format('Generation %s has %s, which the catalog no longer has.', v_found.target, v_missing),
      'Put it back into the catalog, or uninstall the apps you don''t want.')::bloud.refusal;
  end if;
  return null;
end
$$;
comment on function bloud.refusal_of_rollback() is
  'Returns the reason why the machine can''t be rolled back now, or null.';

create or replace function bloud.plan_rollback() returns jsonb
language plpgsql stable as $$
declare
  v_refusal bloud.refusal := bloud.refusal_of_rollback();
  v_found record;
begin
  select * into v_found from bloud.find_rollback();
  return jsonb_build_object('from', v_found.current_generation, 'to', v_found.target,
    'turns_off', (select coalesce(jsonb_agg(a.name order by a.name), '[]') from bloud.apps a
      where a.wanted and v_found.desired is not null and not v_found.desired ? a.name),
    'turns_on', (select coalesce(jsonb_agg(d.name order by d.name), '[]')
      from jsonb_object_keys(coalesce(v_found.desired, '{}')) as d (name)
      where not exists (select from bloud.apps a where a.name = d.name and a.wanted)),
    'blockers', case when v_refusal.sqlstate is null then '[]'::jsonb
      else jsonb_build_array(to_jsonb(v_refusal)) end);
end
$$;
comment on function bloud.plan_rollback() is
  'Returns what rollback() would do: the generations, the apps that would be turned off and on, and the '
  'reasons why the rollback is refused (blockers). Writes nothing.';

create or replace function bloud.lock_all_apps() returns void
language plpgsql as $$
declare
  v_limit text := current_setting('lock_timeout');
begin
  perform bloud.lock_apps('{}');
  begin
    perform set_config('lock_timeout', '3s', true);
    lock table bloud.lock_verbs in exclusive mode;
  exception when lock_not_available or deadlock_detected then
    perform bloud.refuse(('BL004', 'Other work is on its way',
      'Another session holds an app in an open transaction.',
      'Try again in a moment.')::bloud.refusal);
  end;
  perform set_config('lock_timeout', v_limit, true);
end
$$;
comment on function bloud.lock_all_apps() is
  'Locks all apps until the transaction ends, so that all other changes wait. Refused (BL004) if another '
  'transaction holds an app for longer than 3 s.';

create or replace function bloud.rollback() returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
  v_found record;
  v_row bloud.apps;
  v_child bloud.operations;
  v_name text;
begin
  -- Concurrent calls wait here for each other, so that only one of them inserts an operation.
  lock table bloud.lock_verbs in share update exclusive mode;
  select * into v_operation from bloud.operations o
  where o.kind = 'rollback' and o.state in ('queued', 'active');
  if found then
    return v_operation;
  end if;
  perform bloud.refuse(bloud.refusal_of_rollback());
  perform bloud.lock_all_apps();
  -- Another transaction may have committed before the apps were locked, so the check is repeated.
  perform bloud.refuse(bloud.refusal_of_rollback());
  select * into v_found from bloud.find_rollback();
  insert into bloud.operations (kind, options, requested_by, origin, requested_at)
  values ('rollback', jsonb_build_object('from', v_found.current_generation, 'to', v_found.target),
    '', 'psql', bloud.clock())
  returning * into v_operation;
  perform bloud.lock_apps(array(
    select a.name from bloud.apps a where a.wanted union select jsonb_object_keys(v_found.desired)));
  for v_row in select * from bloud.apps a where a.wanted and not v_found.desired ? a.name order by a.name loop
    v_child := bloud.request_uninstall(v_row, false);
    update bloud.operations set requested_for = v_operation.id where id = v_child.id;
  end loop;
  for v_name in select d.name from jsonb_object_keys(v_found.desired) as d (name)
      where not exists (select from bloud.apps a where a.name = d.name and a.wanted) order by d.name loop
    perform bloud.request_install(v_name, '{}', v_found.desired #> array[v_name, 'integration_config'],
      v_operation.id);
    update bloud.apps a set version = d.version, port = d.port
    from jsonb_to_record(v_found.desired -> v_name) as d (version text, port integer) where a.name = v_name;
  end loop;
  return v_operation;
end
$$;
comment on function bloud.rollback() is
  'Requests that the machine returns to the generation (complete configuration) before the current one. The '
  'data of all apps is kept. Returns the new operation, or the rollback that is already open.';

create or replace function bloud.rollback_of(p_operation bloud.operations) returns bigint
language sql stable as $$
  select r.id from bloud.operations r
  where r.id = p_operation.requested_for and r.kind = 'rollback' and r.state in ('queued', 'active')
$$;
comment on function bloud.rollback_of(bloud.operations) is
  'Returns the id of the open rollback that added the operation, or null.';

create or replace function bloud.apps_with(p_app text) returns text[]
language sql stable as $$
  select array(select p_app union select o.app from bloud.operations o
    where o.requested_for = bloud.rollback_of(bloud.open_operation(p_app)) and o.state in ('queued', 'active')
    order by 1)
$$;
comment on function bloud.apps_with(text) is
  'Returns p_app and, if a rollback of p_app is open, all apps of that rollback.';

create or replace function bloud.withdraw_rollback(p_rollback bigint, p_state text, p_cause jsonb)
returns void
language plpgsql as $$
declare
  v_child bloud.operations;
  v_row bloud.apps;
begin
  for v_child in select * from bloud.operations o
      where o.requested_for = p_rollback and o.state = 'queued' order by o.id loop
    select * into v_row from bloud.apps a where a.operation_id = v_child.id;
    perform bloud.withdraw_operation(v_row, v_child, p_cause);
    perform bloud.end_operation(v_child.id, p_state, p_cause);
  end loop;
  perform bloud.end_operation(p_rollback, p_state, p_cause);
end
$$;
comment on function bloud.withdraw_rollback(bigint, text, jsonb) is
  'Ends a queued rollback together with its installs and uninstalls.';

create or replace function bloud.claim_rollback(p_rollback bloud.operations, p_deadline_seconds integer)
returns setof bloud.rebuilds
language plpgsql as $$
declare
  v_ids bigint[] := array(
    select o.id from bloud.operations o where o.requested_for = p_rollback.id and o.state = 'queued');
  v_rebuild bloud.rebuilds;
begin
  -- The rebuild can't start while another transaction has locked an app of the rollback.
  if exists (select from bloud.operations o
      where o.id = any (v_ids) and not bloud.try_lock_app(o.app)) then
    return;
  end if;
  v_rebuild := bloud.start_rebuild(v_ids || p_rollback.id, p_deadline_seconds);
  update bloud.rebuilds r set rolls_back_to = p_rollback.options ->> 'to',
    generation_before = p_rollback.options ->> 'from',
    desired = (select f.desired from bloud.find_rollback() f)
  where r.id = v_rebuild.id returning * into v_rebuild;
  return next v_rebuild;
end
$$;
comment on function bloud.claim_rollback(bloud.operations, integer) is
  'Starts the rebuild of a queued rollback and returns the rebuild. Returns no row while another transaction '
  'has locked an app of the rollback.';
