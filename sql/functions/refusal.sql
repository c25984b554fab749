-- Functions that return a refusal: the reason why a verb (install, uninstall …) is not possible for an app
-- now, or null. The verbs raise refusals as errors, and the web page shows refusals beside the buttons. A
-- verb locks the app before it calls refusal_of(), so that the result stays true until the verb has written
-- its rows.
-- Errors raised, by refuse() for the verbs: BL001 unknown_app, BL004 busy, BL005 not_installed,
-- BL006 not_available_here, BL010 required_by_others, BL011 system_app, BL012 port_taken,
-- BL013 nothing_to_cancel, BL014 too_late_to_cancel, BL015 nothing_to_retry, BL020 already_installed.

create or replace function bloud.refuse(p_refusal bloud.refusal) returns void
language plpgsql as $$
begin
  if p_refusal.sqlstate is null then
    return;
  elsif p_refusal.detail is null then
    raise exception using errcode = p_refusal.sqlstate, message = p_refusal.message, hint = p_refusal.hint;
  end if;
  raise exception using errcode = p_refusal.sqlstate, message = p_refusal.message, detail = p_refusal.detail,
    hint = p_refusal.hint;
end
$$;
comment on function bloud.refuse(bloud.refusal) is
  'Raises a refusal as an error. Does nothing if the refusal has no error code.';

create or replace function bloud.refusal_of_install(p_app text, p_row bloud.apps, p_open bloud.operations)
returns bloud.refusal
language plpgsql stable as $$
declare
  v_entry record;
  v_other text;
begin
  if p_open.kind = 'install' then
    return ('BL004', format('%s is already being installed', p_app),
      format('Operation %s, %s.', p_open.id, p_row.status), 'Wait for it, or cancel it.')::bloud.refusal;
  elsif p_open.id is not null then
    return ('BL004', format('%s is being uninstalled', p_app), format('Operation %s.', p_open.id),
      'Install it again once it is uninstalled.')::bloud.refusal;
  elsif p_row.status = 'running' then
    return ('BL020', format('%s is already running', p_app), null,
      'There is nothing to install.')::bloud.refusal;
  end if;
  select c.display_name, c.unavailable, c.port into v_entry from bloud.catalog_cache c where c.name = p_app;
  if not found then
    return ('BL001', format('There is no app %s in the catalog', p_app), null,
      'List the catalog with: select name from bloud.catalog;')::bloud.refusal;
  elsif v_entry.unavailable is not null then
    return ('BL006', format('%s can''t be installed on this machine', v_entry.display_name),
      v_entry.unavailable,
      'Choose an app whose unavailable is null in bloud.catalog, or use a host that can.')::bloud.refusal;
  end if;
  select a.name into v_other from bloud.apps a
  where a.port = v_entry.port and a.name <> p_app and a.status not in ('stopped', 'failed')
  order by a.name limit 1;
  if found then
    return ('BL012', format('Port %s is used by %s', v_entry.port, v_other),
      format('%s listens on the same port.', v_entry.display_name),
      format('Uninstall %s first, or change the port in the catalog.', v_other))::bloud.refusal;
  end if;
  return null;
end
$$;
comment on function bloud.refusal_of_install(text, bloud.apps, bloud.operations) is
  'Returns the reason why the app can''t be installed now, or null.';

create or replace function bloud.refusal_of_uninstall(
  p_app text, p_row bloud.apps, p_open bloud.operations, p_purge boolean, p_required_by text[])
returns bloud.refusal
language plpgsql stable as $$
declare
  v_others text[];
begin
  if p_row.id is null then
    return ('BL005', format('%s is not installed', p_app), null,
      'List the installed apps with: select name, status from bloud.app_status;')::bloud.refusal;
  elsif p_row.is_system then
    return ('BL011', format('%s belongs to the system', p_row.display_name),
      'Other apps and the agent depend on it.', 'System apps can''t be uninstalled.')::bloud.refusal;
  elsif p_open.kind = 'uninstall' then
    return ('BL004', format('%s is already being uninstalled', p_app), format('Operation %s.', p_open.id),
      'Wait for it.')::bloud.refusal;
  elsif p_row.status = 'queued' and bloud.rollback_of(p_open) is not null then
    return ('BL004', format('%s is being started by a rollback', p_app),
      format('Operation %s.', bloud.rollback_of(p_open)), 'Wait for it, or cancel it.')::bloud.refusal;
  elsif p_row.status in ('configuring', 'building') then
    return ('BL004', format('%s is being installed', p_app),
      format('Operation %s, %s.', p_open.id, p_row.status),
      'Cancel it first, or wait until it has ended.')::bloud.refusal;
  elsif p_row.status = 'stopped' and not p_purge then
    return ('BL005', format('%s is already stopped', p_app), 'Its data is kept.',
      format('Delete the data too with: select bloud.uninstall(%L, purge => %L);', p_app,
        p_app))::bloud.refusal;
  end if;
  v_others := coalesce(p_required_by, bloud.required_by(p_app));
  if cardinality(v_others) > 0 then
    return ('BL010', format('%s is required by %s', p_app, array_to_string(v_others, ', ')), null,
      format('Uninstall %s first.', array_to_string(v_others, ', ')))::bloud.refusal;
  end if;
  return null;
end
$$;
comment on function bloud.refusal_of_uninstall(text, bloud.apps, bloud.operations, boolean, text[]) is
  'Returns the reason why the app can''t be uninstalled now, or null. p_required_by is required_by(p_app), '
  'or null if it is not known yet.';

create or replace function bloud.refusal_of_cancel(p_app text, p_row bloud.apps, p_open bloud.operations)
returns bloud.refusal
language plpgsql stable as $$
declare
  v_missing text;
begin
  if p_open.id is null then
    return ('BL013', format('There is nothing to cancel for %s', p_app), null,
      'List the open operations with: select * from bloud.active;')::bloud.refusal;
  elsif p_open.kind = 'install' and p_row.status = 'starting' then
    return ('BL014', format('%s is already active', p_app), 'It was built and is being started.',
      format('Stop it with: select bloud.uninstall(%L);', p_app))::bloud.refusal;
  elsif p_open.kind = 'install' and p_open.state = 'active'
      and exists (select from bloud.rebuilds r
                  where r.id = p_open.rebuild_id and r.activated_at is not null) then
    return ('BL014', format('%s is being activated', p_app),
      'The host is switching to its new configuration, and this step is never interrupted.',
      format('Once it is active, stop it with: select bloud.uninstall(%L);', p_app))::bloud.refusal;
  elsif p_open.kind = 'install' and p_row.status = 'queued' and p_row.wanted then
    return ('BL014', format('%s still runs while its install is queued', p_app),
      'Cancelling would leave it running.',
      format('Stop it with: select bloud.uninstall(%L);', p_app))::bloud.refusal;
  elsif p_open.kind = 'uninstall' and (p_open.state = 'active' or p_open.previous_status = 'failed') then
    return ('BL014', format('The uninstall of %s can''t be cancelled', p_app),
      case when p_open.state = 'active' then 'It has begun.' else 'The app was not running.' end,
      'Install it again once it is uninstalled.')::bloud.refusal;
  elsif p_open.kind = 'uninstall' and p_row.status = 'stopping' and bloud.rollback_of(p_open) is null then
    select n.name into v_missing from bloud.needs_of(p_row) as n (name)
    where not bloud.is_installed(n.name) limit 1;
    if found then
      return ('BL014', format('The uninstall of %s can''t be cancelled', p_app),
        format('It needs %s, which is being uninstalled too.', v_missing),
        format('Cancel the uninstall of %s first, or install %s again once it is uninstalled.',
          v_missing, p_app))::bloud.refusal;
    end if;
  elsif p_open.cancel_requested_at is not null then
    return ('BL004', format('%s is already being cancelled', p_app), format('Operation %s.', p_open.id),
      'Wait until its work has stopped.')::bloud.refusal;
  end if;
  return null;
end
$$;
comment on function bloud.refusal_of_cancel(text, bloud.apps, bloud.operations) is
  'Returns the reason why the open operation of the app can''t be cancelled, or null.';

create or replace function bloud.refusal_of_retry(p_app text, p_row bloud.apps, p_open bloud.operations)
returns bloud.refusal
language plpgsql stable as $$
declare
  v_last bloud.operations;
begin
  if p_row.id is null then
    return ('BL005', format('%s is not installed', p_app), null,
      format('Install it with: select bloud.install(%L);', p_app))::bloud.refusal;
  elsif p_open.id is not null then
    return ('BL004', format('An operation of %s is already open', p_app), format('Operation %s.', p_open.id),
      'Wait for it, or cancel it.')::bloud.refusal;
  elsif p_row.status not in ('failed', 'error') then
    return ('BL015', format('%s is %s: there is nothing to retry', p_app, p_row.status), null,
      'Retry is for apps that are failed or error.')::bloud.refusal;
  end if;
  select * into v_last from bloud.operations o where o.id = p_row.operation_id;
  if v_last.kind = 'uninstall' and v_last.state = 'failed' then
    return bloud.refusal_of_uninstall(p_app, p_row, p_open, v_last.purge, null);
  end if;
  return bloud.refusal_of_install(p_app, p_row, p_open);
end
$$;
comment on function bloud.refusal_of_retry(text, bloud.apps, bloud.operations) is
  'Returns the reason why the last operation of the app can''t be repeated, or null.';

create or replace function bloud.refusal_of(p_verb text, p_app text) returns bloud.refusal
language plpgsql stable as $$
declare
  v_row bloud.apps;
  v_open bloud.operations := bloud.open_operation(p_app);
begin
  select * into v_row from bloud.apps a where a.name = p_app;
  if v_row.id is null and not exists (select from bloud.catalog_cache c where c.name = p_app) then
    return ('BL001', format('There is no app %s in the catalog', p_app), null,
      'List the catalog with: select name from bloud.catalog;')::bloud.refusal;
  end if;
  return case p_verb
    when 'install' then bloud.refusal_of_install(p_app, v_row, v_open)
    when 'uninstall' then bloud.refusal_of_uninstall(p_app, v_row, v_open, false, null)
    when 'purge' then bloud.refusal_of_uninstall(p_app, v_row, v_open, true, null)
    when 'cancel' then bloud.refusal_of_cancel(p_app, v_row, v_open)
    when 'retry' then bloud.refusal_of_retry(p_app, v_row, v_open)
  end;
end
$$;
comment on function bloud.refusal_of(text, text) is
  'Returns the reason why an action (install, uninstall, purge, cancel, retry) is not possible for an app '
  'now, or null.';

-- Not immutable, because PostgreSQL then could not inline it: jsonb_build_object() is stable.
create or replace function bloud.control_of(p_refusal bloud.refusal) returns jsonb
language sql stable as $$
  select jsonb_build_object('allowed', p_refusal.sqlstate is null, 'code', p_refusal.sqlstate,
    'reason', p_refusal.message)
$$;
comment on function bloud.control_of(bloud.refusal) is
  'Returns a refusal as a value of controls(): {allowed, code, reason}.';

create or replace function bloud.controls_of(
  p_row bloud.apps, p_open bloud.operations, p_required_by text[]) returns jsonb
language plpgsql stable as $$
declare
  v_install bloud.refusal := bloud.refusal_of_install(p_row.name, p_row, p_open);
  v_retry bloud.refusal := bloud.refusal_of_retry(p_row.name, p_row, p_open);
  v_cancel bloud.refusal := bloud.refusal_of_cancel(p_row.name, p_row, p_open);
  v_uninstall bloud.refusal := bloud.refusal_of_uninstall(p_row.name, p_row, p_open, false,
    p_required_by);
  v_purge bloud.refusal := bloud.refusal_of_uninstall(p_row.name, p_row, p_open, true, p_required_by);
begin
  return jsonb_build_object('install', bloud.control_of(v_install), 'retry', bloud.control_of(v_retry),
    'cancel', bloud.control_of(v_cancel), 'uninstall', bloud.control_of(v_uninstall),
    'purge', bloud.control_of(v_purge));
end
$$;
comment on function bloud.controls_of(bloud.apps, bloud.operations, text[]) is
  'Returns controls() of an app from its row in bloud.apps, its open operation and required_by(). For '
  'bloud.app_status, which has all three for all apps.';

create or replace function bloud.controls(p_app text) returns jsonb
language sql stable as $$
  select jsonb_object_agg(v.verb, bloud.control_of(r.r))
  from unnest(array['install', 'retry', 'cancel', 'uninstall', 'purge']) as v (verb)
  cross join lateral (select bloud.refusal_of(v.verb, p_app) as r offset 0) r
$$;
comment on function bloud.controls(text) is
  'Returns whether each action (install, retry …) is allowed for the app now: {action: {allowed, code, '
  'reason}}.';
