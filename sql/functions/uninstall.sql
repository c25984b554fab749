-- Function uninstall(), which stops an app and keeps the data of the app. With purge the data is deleted too:
-- the argument purge must be the name of the app, so that no statement over many apps deletes their data by
-- mistake. A queued install of the app ends as superseded.
-- Errors raised: BL001 unknown_app, BL002 invalid_name, BL004 busy, BL005 not_installed,
-- BL010 required_by_others, BL011 system_app, BL017 invalid_options, BL019 wrong_isolation.

create or replace function bloud.request_uninstall(p_row bloud.apps, p_purge boolean) returns bloud.operations
language plpgsql as $$
declare
  v_operation bloud.operations;
begin
  insert into bloud.operations (app, kind, purge, previous_status, requested_by, origin, requested_at)
  values (p_row.name, 'uninstall', p_purge, p_row.status, '', 'psql', bloud.clock())
  returning * into v_operation;
  if p_row.status = 'stopped' then -- only the data must still be deleted
    update bloud.apps set operation_id = v_operation.id where id = p_row.id;
  else
    update bloud.apps set status = 'stopping', wanted = false, deadline = bloud.clock() + interval '1 day',
      cause = null, operation_id = v_operation.id
    where id = p_row.id;
  end if;
  return v_operation;
end
$$;
comment on function bloud.request_uninstall(bloud.apps, boolean) is
  'Queues the uninstall of an app and returns the operation. Sets the status to stopping, unless the app is '
  'already stopped.';

create or replace function bloud.check_purge(p_app text, p_purge text) returns boolean
language plpgsql immutable as $$
begin
  if p_purge <> p_app then
    raise exception using errcode = 'BL017',
      message = format('The data of %s is deleted only if purge is the name of the app', p_app),
      detail = format('purge is %s.', p_purge),
      hint = format('Delete the data too with: select bloud.uninstall(%L, purge => %L);', p_app, p_app);
  end if;
  return p_purge is not null;
end
$$;
comment on function bloud.check_purge(text, text) is
  'Returns whether the data of an app shall be deleted. Refuses (BL017) a purge that is not the name of the '
  'app.';

create or replace function bloud.uninstall(app text, purge text default null) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_purge boolean;
  v_open bloud.operations;
  v_row bloud.apps;
  v_names text[];
  v_was_wanted boolean;
begin
  perform bloud.check_name(uninstall.app);
  v_purge := bloud.check_purge(uninstall.app, uninstall.purge);
  perform bloud.lock_related(uninstall.app);
  v_names := bloud.dependencies_queued_for(uninstall.app);
  -- Waits until no other transaction is installing an app that needs one of these apps. The locks are taken
  -- in alphabetical order, so that two transactions never wait for each other.
  perform bloud.lock_key('dependency:' || s.n)
  from (select distinct n from unnest(v_names || uninstall.app) as n order by n) s;
  v_open := bloud.open_operation(uninstall.app);
  if v_open.kind = 'uninstall' and (v_open.purge or not v_purge) then
    return v_open;
  elsif v_open.kind = 'uninstall' and v_open.state = 'queued' then
    update bloud.operations o set purge = true where o.id = v_open.id returning * into v_open;
    return v_open;
  end if;
  perform bloud.refuse(
    bloud.refusal_of(case when v_purge then 'purge' else 'uninstall' end, uninstall.app));
  select * into v_row from bloud.apps a where a.name = uninstall.app;
  if v_open.kind = 'install' then
    v_open := bloud.end_operation(v_open.id, 'superseded', bloud.cancelled_cause(v_row.status));
    if v_row.status = 'queued' and v_row.configured_at is null then
      delete from bloud.apps a where a.id = v_row.id; -- an app that was never configured has no data
      perform bloud.withdraw_dependencies(v_names, 'superseded', v_open.cause);
      return v_open;
    elsif v_row.status = 'queued' then
      v_was_wanted := v_row.wanted; -- true if the app still runs
      perform bloud.withdraw_install(v_row, v_open.cause);
      perform bloud.withdraw_dependencies(v_names, 'superseded', v_open.cause);
      select * into v_row from bloud.apps a where a.name = uninstall.app;
      v_row.status := case when v_was_wanted then 'error' else v_row.status end;
      if v_row.status = 'stopped' and not v_purge then
        return v_open;
      end if;
    end if;
  end if;
  return bloud.request_uninstall(v_row, v_purge);
end
$$;
comment on function bloud.uninstall(text, text) is
  'Stops an app and keeps its data. If purge is the name of the app, the data is deleted too. Returns the '
  'uninstall, or the queued install that the uninstall has ended.';

create or replace function bloud.uninstall(app text, purge boolean) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.check_name(uninstall.app);
  if uninstall.purge then
    perform bloud.check_purge(uninstall.app, 'true');
  end if;
  return bloud.uninstall(uninstall.app);
end
$$;
comment on function bloud.uninstall(text, boolean) is
  'Refuses (BL017) purge => true, which does not name the app. With false, the same as uninstall(app).';
