-- What can be said about an app without touching its status. Errors: BL002 invalid_name, BL005 not_installed, BL017
-- invalid_options.

create or replace function bloud.rename(app text, display_name text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  perform bloud.check_name(rename.app);
  if rename.display_name is null or rename.display_name !~ '^[^[:cntrl:]]{1,80}$' 
     or rename.display_name !~ '[^[:space:]\u200B-\u200F\u2060\uFEFF]' -- nothing to see
     or rename.display_name ~ '[\u202A-\u202E\u2066-\u2069]' then -- turns the text around it
    raise exception using errcode = 'BL017', message = 'This can''t be the name people see',
      detail = format('Given: %L', left(rename.display_name, 100)), hint = 'Give 1 to 80 characters that can be seen, without control characters.';
  end if;
  perform bloud.lock_apps(array[rename.app]);
  update bloud.apps a set display_name = rename.display_name, updated_at = bloud.clock() where a.name = rename.app;
  if not found then
    raise exception using errcode = 'BL005', message = format('%s is not installed', rename.app),
      hint = 'See what is with: select name, status from bloud.app_status;';
  end if;
  insert into bloud.operations (app, kind, state, options, requested_by, origin, requested_at, finished_at)
  values (rename.app, 'rename', 'succeeded', jsonb_build_object('display_name', rename.display_name), '', 'psql', bloud.clock(), bloud.clock())
  returning * into v_operation;
  return v_operation;
end
$$;
comment on function bloud.rename(text, text) is
  'Changes the name people see (1 to 80 characters); the app''s own name never changes. Returns the operation, which is done.';
