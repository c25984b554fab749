-- Functions for the two names of an app: the name, which never changes, and the display name, which rename()
-- changes.
-- Errors raised: BL002 invalid_name, BL005 not_installed, BL017 invalid_options, BL019 wrong_isolation.

create or replace function bloud.check_name(p_app text) returns void
language plpgsql immutable as $$
begin
  if p_app is null or p_app !~ '^[a-z][a-z0-9-]{0,62}$' then
    raise exception using errcode = 'BL002',
      message = format('%L can''t be the name of an app', left(p_app, 80)),
      detail = 'A name is 1 to 63 of a-z, 0-9 and -, and begins with a letter.',
      hint = 'List the names with: select name from bloud.catalog;';
  end if;
end
$$;
comment on function bloud.check_name(text) is 'Refuses (BL002) a text that can''t be the name of an app.';

create or replace function bloud.rename(app text, display_name text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  perform bloud.check_name(rename.app);
  if rename.display_name is null or rename.display_name !~ '^[^[:cntrl:]]{1,80}$'
     or rename.display_name !~ '[^[:space:]\u200B-\u200F\u2060\uFEFF]' -- no visible character
     or rename.display_name ~ '[\u202A-\u202E\u2066-\u2069]' then -- changes the text direction
    raise exception using errcode = 'BL017', message = 'This can''t be a display name',
      detail = format('Given: %L', left(rename.display_name, 100)),
      hint = 'Give 1 to 80 characters, at least one of them visible and none a control character.';
  end if;
  perform bloud.lock_apps(array[rename.app]);
  update bloud.apps a set display_name = rename.display_name, updated_at = bloud.clock()
  where a.name = rename.app;
  if not found then
    raise exception using errcode = 'BL005', message = format('%s is not installed', rename.app),
      hint = 'List the installed apps with: select name, status from bloud.app_status;';
  end if;
  insert into bloud.operations (app, kind, state, options, requested_by, origin, requested_at, finished_at)
  values (rename.app, 'rename', 'succeeded', jsonb_build_object('display_name', rename.display_name), '',
    'psql', bloud.clock(), bloud.clock())
  returning * into v_operation;
  return v_operation;
end
$$;
comment on function bloud.rename(text, text) is
  'Changes the display name of an app at once, and returns the finished operation.';
