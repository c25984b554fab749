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

-- The ranges are written out, because [:cntrl:] and [:space:] depend on the locale of the database.
-- src/domain/text.ts has the same lists, and a test compares both for every character.
create or replace function bloud.is_display_name(p_text text) returns boolean
language sql immutable as $$
  select coalesce(
    p_text ~ '^.{1,80}$'
    and p_text ~ '[^ \u00A0\u1680\u2000-\u200A\u202F\u205F\u3000\uFE0E\uFE0F]' -- a visible character
    -- A zero-width joiner (200D) is allowed between two symbols, which it joins to one emoji.
    and regexp_replace(p_text,
      '([\u2190-\u2BFF\U0001F000-\U0001FAFF\uFE0F])\u200D(?=[\u2190-\u2BFF\U0001F000-\U0001FAFF])', '\1', 'g')
      !~ ('[\u0001-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F'
        '\u2028-\u202E\u2060-\u206F\u2800\u3164\uFE00-\uFE0D\uFEFF\uFFA0\uFFF0-\uFFFB\uFFFE\uFFFF'
        '\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]'),
    false)
$$;
comment on function bloud.is_display_name(text) is
  'Returns true if the text can be a display name: 1 to 80 characters, none of them invisible.';

create or replace function bloud.rename(app text, display_name text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  perform bloud.check_name(rename.app);
  if not bloud.is_display_name(rename.display_name) then
    raise exception using errcode = 'BL017', message = 'This can''t be a display name',
      detail = format('Given: %L', left(rename.display_name, 100)),
      hint = 'Give 1 to 80 visible characters; spaces are allowed between them.';
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
