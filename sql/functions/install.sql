-- Function install(), which queues the install of an app and of each dependency that is not installed yet.
-- Errors raised: BL001 unknown_app, BL002 invalid_name, BL004 busy, BL006 not_available_here,
-- BL007 choice_needed, BL008 choice_not_compatible, BL009 dependency_cycle, BL012 port_taken,
-- BL017 invalid_options, BL019 wrong_isolation, BL020 already_installed.

create or replace function bloud.check_options(p_options jsonb) returns void
language plpgsql immutable as $$
begin
  -- The options are stored with each operation, so their length is limited to 10 kB.
  if p_options is null or octet_length(p_options::text) > 10000 or jsonb_typeof(p_options) <> 'object'
     or p_options - 'choices' <> '{}' or jsonb_typeof(coalesce(p_options -> 'choices', '{}')) <> 'object'
     or exists (
       select from jsonb_each(p_options -> 'choices') c
       where jsonb_typeof(c.value) not in ('string', 'array', 'null')
          or (jsonb_typeof(c.value) = 'array'
              and exists (select from jsonb_array_elements(c.value) e
                          where jsonb_typeof(e) <> 'string'))) then
    raise exception using errcode = 'BL017', message = 'These options can''t be used',
      detail = format('Given: %s', left(coalesce(p_options::text, 'null'), 200)),
      hint = 'Options are like {"choices": {"database": "postgres"}}.';
  end if;
end
$$;
comment on function bloud.check_options(jsonb) is
  'Refuses (BL017) options that do not have the form {"choices": {slot: app or [apps]}}.';

create or replace function bloud.request_install(p_app text, p_options jsonb, p_config jsonb, p_for bigint)
returns bloud.operations
language plpgsql as $$
declare
  v_operation bloud.operations;
begin
  insert into bloud.operations (app, kind, options, requested_for, previous_status, requested_by, origin,
    requested_at)
  values (p_app, 'install', p_options, p_for, (select a.status from bloud.apps a where a.name = p_app), '',
    'psql', bloud.clock())
  returning * into v_operation;
  -- An install that was queued for a day fails, because the operator no longer expects the install by then.
  insert into bloud.apps as a (name, display_name, version, status, port, is_system, integration_config,
    operation_id, deadline)
  select c.name, c.display_name, c.version, 'queued', c.port, c.is_system, p_config, v_operation.id,
    bloud.clock() + interval '1 day'
  from bloud.catalog_cache c where c.name = p_app
  on conflict (name) do update set status = 'queued', version = excluded.version,
    port = excluded.port, integration_config = excluded.integration_config,
    operation_id = excluded.operation_id, deadline = excluded.deadline, cause = null;
  return v_operation;
end
$$;
comment on function bloud.request_install(text, jsonb, jsonb, bigint) is
  'Queues the install of an app and returns the operation. p_for is the id of the operation that needs this '
  'install, or null.';

create or replace function bloud.write_plan(p_app text, p_options jsonb, p_plan jsonb)
returns bloud.operations
language plpgsql as $$
declare
  v_name text;
  v_operation bloud.operations;
begin
  perform bloud.refuse(bloud.refusal_of('install', p_app));
  perform bloud.refuse(jsonb_populate_record(null::bloud.refusal, p_plan #> '{blockers,0}'));
  v_operation := bloud.request_install(p_app, p_options, p_plan #> array['config', p_app], null);
  for v_name in select jsonb_array_elements_text(p_plan -> 'installs') loop
    if v_name <> p_app then
      perform bloud.request_install(v_name, '{}', p_plan #> array['config', v_name], v_operation.id);
    end if;
  end loop;
  return v_operation;
end
$$;
comment on function bloud.write_plan(text, jsonb, jsonb) is
  'Queues the install of each app of a plan, and returns the operation of p_app. Raises an error if the plan '
  'has a blocker (refusal). The caller has locked the apps.';

create or replace function bloud.detach_from_requester(p_open bloud.operations) returns bloud.operations
language plpgsql as $$
begin
  if p_open.requested_for is not null and p_open.state = 'queued' and bloud.rollback_of(p_open) is null then
    update bloud.operations o set requested_for = null where o.id = p_open.id returning * into p_open;
  end if;
  return p_open;
end
$$;
comment on function bloud.detach_from_requester(bloud.operations) is
  'Marks the queued install of a dependency as requested by an operator, so that it stays if the install of '
  'the app that needs the dependency is cancelled.';

create or replace function bloud.install(app text, options jsonb default '{}') returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_open bloud.operations;
  v_plan jsonb;
begin
  perform bloud.check_name(install.app);
  perform bloud.check_options(options);
  v_plan := bloud.lock_install(install.app, options);
  v_open := bloud.open_operation(install.app);
  if v_open.kind = 'install' and v_open.cancel_requested_at is null then
    return bloud.detach_from_requester(v_open);
  end if;
  return bloud.write_plan(install.app, options, v_plan);
end
$$;
comment on function bloud.install(text, jsonb) is
  'Queues the install of an app and its dependencies with the options {"choices": {slot: app or [apps]}}. '
  'Returns the new operation, or the install that is already open.';
