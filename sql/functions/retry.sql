-- Function retry(), which repeats the last failed operation of an app. If an installed app became unhealthy,
-- retry() repeats the install.
-- Errors raised: BL001 unknown_app, BL002 invalid_name, BL004 busy, BL005 not_installed,
-- BL015 nothing_to_retry, BL019 wrong_isolation, and those of the verb that is repeated (install.sql,
-- uninstall.sql).

create or replace function bloud.retry(app text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_open bloud.operations;
  v_last bloud.operations;
  v_plan jsonb;
  v_options jsonb;
begin
  perform bloud.check_name(retry.app);
  -- Takes the locks in the same order as install(), so that retry() and install() never wait for each other.
  -- Starts again if another operation of the app was inserted before the locks were taken.
  loop
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
    return bloud.detach_from_requester(v_open);
  elsif v_open.kind = 'uninstall' and exists (select from (
      select o.kind, o.state from bloud.operations o
      where o.app = retry.app and o.id < v_open.id and o.kind <> 'rename'
      order by o.id desc limit 1) before where before.kind = 'uninstall' and before.state = 'failed') then
    return v_open; -- the open uninstall already repeats the failed uninstall
  end if;
  perform bloud.refuse(bloud.refusal_of('retry', retry.app));
  if v_last.kind = 'uninstall' and v_last.state = 'failed' then
    return bloud.uninstall(retry.app, case when v_last.purge then retry.app end);
  end if;
  return bloud.write_plan(retry.app, v_options, v_plan);
end
$$;
comment on function bloud.retry(text) is
  'Repeats the failed install or uninstall of an app with the same options, and returns the new operation.';
