-- The verbs. An operation is one promise to somebody:
--
--   queued → active → succeeded | failed | cancelled
--        ↘ cancelled | superseded       (an uninstall takes the place of an install that is not needed any more)
--
-- rename, refresh_catalog and rollback (rollback.sql) are operations too, so that history says who asked; a rename is done at once.
--
-- Asking twice is safe: whoever asks for what is already on its way gets that operation. Everything else that can't be
-- done now is refused before anything is written (refusals.sql). Errors: BL001 unknown_app, BL002 invalid_name, BL004 busy,
-- BL005 not_installed, BL006 not_available_here, BL007 choice_needed, BL008 choice_not_compatible, BL009
-- dependency_cycle, BL010 required_by_others, BL011 system_app, BL012 port_taken, BL013 nothing_to_cancel, BL014
-- too_late_to_cancel, BL015 nothing_to_retry, BL017 invalid_options, BL020 already_installed.

create or replace function bloud.check_options(p_options jsonb) returns void
language plpgsql immutable as $$
begin
  -- 10 kB: they are kept with the operation, and no catalog has that many slots.
  if p_options is null or octet_length(p_options::text) > 10000 or jsonb_typeof(p_options) <> 'object' or p_options - 'choices' <> '{}'
     or jsonb_typeof(coalesce(p_options -> 'choices', '{}')) <> 'object' or exists (
       select from jsonb_each(p_options -> 'choices') c where jsonb_typeof(c.value) not in ('string', 'array', 'null')
          or (jsonb_typeof(c.value) = 'array' and exists (select from jsonb_array_elements(c.value) e where jsonb_typeof(e) <> 'string'))) then
    raise exception using errcode = 'BL017', message = 'These options can''t be used',
      detail = format('Given: %s', left(coalesce(p_options::text, 'null'), 200)),
      hint = 'Options are like {"choices": {"database": "postgres"}}.';
  end if;
end
$$;
comment on function bloud.check_options(jsonb) is 'Refuses (BL017) options that install() does not know.';

create or replace function bloud.request_install(p_app text, p_options jsonb, p_config jsonb, p_for bigint) returns bloud.operations
language plpgsql as $$
declare
  v_operation bloud.operations;
begin
  insert into bloud.operations (app, kind, options, requested_for, previous_status, requested_by, origin, requested_at)
  values (p_app, 'install', p_options, p_for, (select a.status from bloud.apps a where a.name = p_app), '', 'psql', bloud.clock())
  returning * into v_operation;
  -- A request that nobody took for a day is not what anybody still waits for.
  insert into bloud.apps as a (name, display_name, version, status, port, is_system, integration_config, operation_id, deadline)
  select c.name, c.display_name, c.version, 'queued', c.port, c.is_system, p_config, v_operation.id, bloud.clock() + interval '1 day'
  from bloud.catalog_cache c where c.name = p_app
  on conflict (name) do update set status = 'queued', version = excluded.version,
    port = excluded.port, integration_config = excluded.integration_config, operation_id = excluded.operation_id,
    deadline = excluded.deadline, cause = null;
  return v_operation;
end
$$;
comment on function bloud.request_install(text, jsonb, jsonb, bigint) is 'Writes one install operation and queues its app.';

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
      null; -- somebody moved one of them while we waited: these locks are given back, and it is planned anew
    end;
  end loop;
  return v_plan;
end
$$;
comment on function bloud.lock_install(text, jsonb) is 'The plan of an install, with all it depends on held until the transaction ends.';

create or replace function bloud.carry_out(p_app text, p_options jsonb, p_plan jsonb) returns bloud.operations
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
comment on function bloud.carry_out(text, jsonb, jsonb) is 'Writes the operations of a plan whose apps are held, or refuses it.';

create or replace function bloud.keep_for_itself(p_open bloud.operations) returns bloud.operations
language plpgsql as $$
begin
  if p_open.requested_for is not null and p_open.state = 'queued' and bloud.rollback_of(p_open) is null then
    update bloud.operations o set requested_for = null where o.id = p_open.id returning * into p_open;
  end if;
  return p_open;
end
$$;
comment on function bloud.keep_for_itself(bloud.operations) is
  'Somebody asked for what another app has brought along: it is no longer withdrawn together with that one.';

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
    return bloud.keep_for_itself(v_open);
  end if;
  return bloud.carry_out(install.app, options, v_plan);
end
$$;
comment on function bloud.install(text, jsonb) is
  'Installs an app and all it needs. options: {"choices": {slot: app or [apps]}}. Returns the operation; asking again returns the one on its way.';

create or replace function bloud.end_operation(p_id bigint, p_state text, p_cause jsonb default null) returns bloud.operations
language plpgsql as $$
declare
  v_operation bloud.operations;
begin
  update bloud.operations set state = p_state, finished_at = bloud.clock(), cause = p_cause where id = p_id returning * into v_operation;
  return v_operation;
end
$$;
comment on function bloud.end_operation(bigint, text, jsonb) is 'Ends an operation: succeeded, failed, cancelled or superseded.';

create or replace function bloud.withdraw_install(p_row bloud.apps, p_cause jsonb) returns void
language plpgsql as $$
begin
  if (p_row.installed_at is not null and not p_row.wanted)
     or exists (select from bloud.operations o where o.id = p_row.operation_id and o.previous_status = 'stopped') then
    update bloud.apps set status = 'stopped', deadline = null, cause = null where id = p_row.id;
  else
    update bloud.apps set status = 'failed', deadline = null, wanted = false, cause = p_cause where id = p_row.id;
  end if;
end
$$;
comment on function bloud.withdraw_install(bloud.apps, jsonb) is
  'Takes a queued app out of the queue: stopped if it was off or installed before, else failed.';

create or replace function bloud.withdraw_operation(p_row bloud.apps, p_operation bloud.operations, p_cause jsonb) returns void
language plpgsql as $$
begin
  if p_operation.kind = 'install' then
    perform bloud.withdraw_install(p_row, p_cause);
  else
    update bloud.apps a set status = 'error', wanted = true, deadline = null, cause = p_cause
    where a.id = p_row.id and a.status = 'stopping'; -- one that was off before stays off, with its data
  end if;
end
$$;
comment on function bloud.withdraw_operation(bloud.apps, bloud.operations, jsonb) is 'Moves the app of a queued operation to where it is without it.';

create or replace function bloud.cancelled_cause(p_phase text) returns jsonb
language sql stable as $$
  select jsonb_build_object('class', 'cancelled', 'phase', p_phase, 'message', 'Cancelled by ' || bloud.session_actor(),
    'hint', 'Retry when you like.')
$$;
comment on function bloud.cancelled_cause(text) is 'The cause of what was cancelled by this session.';

create or replace function bloud.companions_of(p_app text) returns text[]
language sql stable as $$
  select coalesce(array_agg(o.app order by o.id desc), '{}') from bloud.operations o
  where o.kind = 'install' and o.state = 'queued' and o.requested_for = (bloud.open_operation(p_app)).id
$$;
comment on function bloud.companions_of(text) is
  'What waits only because this app brought it along; each comes before what it needs itself.';

create or replace function bloud.withdraw_companions(p_names text[], p_state text, p_cause jsonb) returns void
language plpgsql as $$
declare
  v_name text;
  v_row bloud.apps;
begin
  foreach v_name in array p_names loop
    continue when exists (select from bloud.apps a cross join jsonb_each(a.integration_config) s
      where a.name <> v_name and a.status not in ('failed', 'stopped', 'stopping') and s.value ? v_name);
    select * into v_row from bloud.apps a where a.name = v_name;
    perform bloud.end_operation(v_row.operation_id, p_state, p_cause);
    if v_row.configured_at is null then
      delete from bloud.apps a where a.id = v_row.id;
    else
      perform bloud.withdraw_install(v_row, p_cause);
    end if;
  end loop;
end
$$;
comment on function bloud.withdraw_companions(text[], text, jsonb) is
  'Takes apps out of the queue that were brought along by one that was withdrawn, but for those that others use. The caller keeps installs from building on them meanwhile.';

create or replace function bloud.request_uninstall(p_row bloud.apps, p_purge boolean) returns bloud.operations
language plpgsql as $$
declare
  v_operation bloud.operations;
begin
  insert into bloud.operations (app, kind, purge, previous_status, requested_by, origin, requested_at)
  values (p_row.name, 'uninstall', p_purge, p_row.status, '', 'psql', bloud.clock()) returning * into v_operation;
  if p_row.status = 'stopped' then -- already off: only its data is left to delete
    update bloud.apps set operation_id = v_operation.id where id = p_row.id;
  else
    update bloud.apps set status = 'stopping', wanted = false, deadline = bloud.clock() + interval '1 day', cause = null, operation_id = v_operation.id where id = p_row.id;
  end if;
  return v_operation;
end
$$;
comment on function bloud.request_uninstall(bloud.apps, boolean) is 'Writes one uninstall operation and begins the removal.';

create or replace function bloud.uninstall(app text, purge boolean default false) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_open bloud.operations;
  v_row bloud.apps;
  v_names text[];
  v_was_on boolean;
begin
  perform bloud.check_name(uninstall.app);
  uninstall.purge := coalesce(uninstall.purge, false); -- null asks for nothing
  perform bloud.lock_with(uninstall.app);
  v_names := bloud.companions_of(uninstall.app);
  perform pg_advisory_xact_lock(45072, hashtext(s.n)) -- waits for installs that build on them; sorted, as those are
  from (select distinct n from unnest(v_names || uninstall.app) as n order by n) s;
  v_open := bloud.open_operation(uninstall.app);
  if v_open.kind = 'uninstall' and (v_open.purge or not uninstall.purge) then
    return v_open;
  elsif v_open.kind = 'uninstall' and v_open.state = 'queued' then
    update bloud.operations o set purge = true where o.id = v_open.id returning * into v_open;
    return v_open;
  end if;
  perform bloud.refuse(bloud.refusal_of(case when uninstall.purge then 'purge' else 'uninstall' end, uninstall.app));
  select * into v_row from bloud.apps a where a.name = uninstall.app;
  if v_open.kind = 'install' then
    v_open := bloud.end_operation(v_open.id, 'superseded', bloud.cancelled_cause(v_row.status));
    if v_row.status = 'queued' and v_row.configured_at is null then
      delete from bloud.apps a where a.id = v_row.id; -- it never got further: nothing is left of it
      perform bloud.withdraw_companions(v_names, 'superseded', v_open.cause);
      return v_open;
    elsif v_row.status = 'queued' then
      v_was_on := v_row.wanted; -- not healthy, and requested again
      perform bloud.withdraw_install(v_row, v_open.cause);
      perform bloud.withdraw_companions(v_names, 'superseded', v_open.cause);
      select * into v_row from bloud.apps a where a.name = uninstall.app;
      v_row.status := case when v_was_on then 'error' else v_row.status end;
      if v_row.status = 'stopped' and not uninstall.purge then
        return v_open;
      end if;
    end if;
  end if;
  return bloud.request_uninstall(v_row, uninstall.purge);
end
$$;
comment on function bloud.uninstall(text, boolean) is
  'Turns an app off and keeps its data, or with purge deletes data and row too. Returns the operation; an install that was still queued is superseded and returned.';

create or replace function bloud.last_operation(p_app text) returns bloud.operations
language sql stable as $$
  select o from bloud.operations o join bloud.apps a on a.operation_id = o.id where a.name = p_app
$$;
comment on function bloud.last_operation(text) is 'The operation on its way for the app, or the last one; null if it is not there.';

create or replace function bloud.retry(app text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_open bloud.operations;
  v_last bloud.operations;
  v_plan jsonb;
  v_options jsonb;
begin
  perform bloud.check_name(retry.app);
  loop -- all locks at once and in their order, as in install(): what is to be held depends on what failed
    v_last := bloud.last_operation(retry.app);
    v_options := case when v_last.kind = 'install' then v_last.options else '{}' end;
    begin
      if v_last.kind = 'uninstall' and v_last.state = 'failed' then
        perform bloud.lock_apps(array[retry.app]);
      else
        v_plan := bloud.lock_install(retry.app, v_options);
      end if;
      exit when v_last is not distinct from bloud.last_operation(retry.app);
      raise serialization_failure;
    exception when serialization_failure then
      null;
    end;
  end loop;
  v_open := bloud.open_operation(retry.app);
  if v_open.kind = 'install' and v_open.cancel_requested_at is null then
    return bloud.keep_for_itself(v_open);
  elsif v_open.kind = 'uninstall' and exists (select from (
      select o.kind, o.state from bloud.operations o where o.app = retry.app and o.id < v_open.id and o.kind <> 'rename'
      order by o.id desc limit 1) before where before.kind = 'uninstall' and before.state = 'failed') then
    return v_open; -- the removal that failed is on its way again
  end if;
  perform bloud.refuse(bloud.refusal_of('retry', retry.app));
  if v_last.kind = 'uninstall' and v_last.state = 'failed' then
    return bloud.uninstall(retry.app, v_last.purge);
  end if;
  return bloud.carry_out(retry.app, v_options, v_plan);
end
$$;
comment on function bloud.retry(text) is 'Does again what failed last, with the same options. For apps that are failed or error. Returns the operation.';

create or replace function bloud.lock_with(p_app text) returns bloud.operations
language plpgsql as $$
declare
  v_names text[];
begin
  loop
    v_names := bloud.apps_with(p_app) || bloud.companions_of(p_app);
    begin
      perform bloud.lock_apps(v_names);
      exit when v_names = bloud.apps_with(p_app) || bloud.companions_of(p_app);
      raise serialization_failure;
    exception when serialization_failure then
      null; -- another request came or went while we waited
    end;
  end loop;
  return bloud.open_operation(p_app);
end
$$;
comment on function bloud.lock_with(text) is 'Holds an app, and with it all that are in the same rollback, or that it brought along. Returns the operation on its way for it.';

create or replace function bloud.cancel(app text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_open bloud.operations;
  v_row bloud.apps;
  v_names text[];
begin
  perform bloud.check_name(cancel.app);
  v_open := bloud.lock_with(cancel.app);
  v_names := bloud.companions_of(cancel.app);
  if v_open.cancel_requested_at is not null then
    return v_open;
  end if;
  perform bloud.refuse(bloud.refusal_of('cancel', cancel.app));
  select * into v_row from bloud.apps a where a.name = cancel.app;
  if v_open.state = 'active' then -- the orchestrator stops the work, then says so
    update bloud.operations o set cancel_requested_at = bloud.clock() where o.id = v_open.id returning * into v_open;
    return v_open;
  elsif bloud.rollback_of(v_open) is not null then
    perform bloud.withdraw_rollback(bloud.rollback_of(v_open), 'cancelled', bloud.cancelled_cause(v_row.status));
    return (select o from bloud.operations o where o.id = v_open.id);
  end if;
  perform pg_advisory_xact_lock(45072, hashtext(s.n)) -- as in uninstall()
  from (select n from unnest(v_names) as n order by n) s;
  perform bloud.withdraw_operation(v_row, v_open, bloud.cancelled_cause(v_row.status));
  perform bloud.withdraw_companions(v_names, 'cancelled', bloud.cancelled_cause(v_row.status));
  return bloud.end_operation(v_open.id, 'cancelled', bloud.cancelled_cause(v_row.status));
end
$$;
comment on function bloud.cancel(text) is
  'Cancels what is on its way for the app. A queued operation ends at once, with what it brought along and nobody else uses; one at work ends when its work is really gone. What is part of a rollback is cancelled with all of it. Returns the operation.';
