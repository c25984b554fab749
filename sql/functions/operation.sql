-- Functions of operations (requested installs, uninstalls …). A function such as install() inserts an
-- operation and returns at once. The orchestrator (worker process) does the work later.
--
--   queued → active → succeeded | failed | cancelled
--   queued → cancelled     by cancel(), before the work began
--   queued → superseded    by uninstall(), which ends a queued install of the app
--   queued → failed        by sweep(), after a day
--
-- An app has at most one open (queued or active) operation. A dependency that is installed for an app has an
-- operation of its own, whose column requested_for is the id of the operation of the app.

create or replace function bloud.open_operation(p_app text) returns bloud.operations
language sql stable as $$
  select o from bloud.operations o where o.app = p_app and o.state in ('queued', 'active')
$$;
comment on function bloud.open_operation(text) is
  'Returns the open (queued or active) operation of an app, or null.';

create or replace function bloud.last_operation(p_app text) returns bloud.operations
language sql stable as $$
  select o from bloud.operations o join bloud.apps a on a.operation_id = o.id where a.name = p_app
$$;
comment on function bloud.last_operation(text) is
  'Returns the newest install or uninstall of an app, or null if bloud.apps has no row of the app.';

create or replace function bloud.end_operation(p_id bigint, p_state text, p_cause jsonb default null)
returns bloud.operations
language plpgsql as $$
declare
  v_operation bloud.operations;
begin
  update bloud.operations set state = p_state, finished_at = bloud.clock(), cause = p_cause
  where id = p_id returning * into v_operation;
  return v_operation;
end
$$;
comment on function bloud.end_operation(bigint, text, jsonb) is
  'Ends an operation with the state succeeded, failed, cancelled or superseded, and returns the operation.';

create or replace function bloud.cancelled_cause(p_phase text) returns jsonb
language sql stable as $$
  select jsonb_build_object('class', 'cancelled', 'phase', p_phase,
    'message', 'Cancelled by ' || bloud.session_actor(), 'hint', 'Retry when you like.')
$$;
comment on function bloud.cancelled_cause(text) is
  'Returns the value of the column cause for an operation that this session cancels.';

create or replace function bloud.withdraw_install(p_row bloud.apps, p_cause jsonb) returns void
language plpgsql as $$
begin
  if (p_row.installed_at is not null and not p_row.wanted)
     or exists (select from bloud.operations o
                where o.id = p_row.operation_id and o.previous_status = 'stopped') then
    update bloud.apps set status = 'stopped', deadline = null, cause = null where id = p_row.id;
  else
    update bloud.apps set status = 'failed', deadline = null, wanted = false, cause = p_cause
    where id = p_row.id;
  end if;
end
$$;
comment on function bloud.withdraw_install(bloud.apps, jsonb) is
  'Sets the status of an app whose queued install ends: stopped if the app was stopped before, or else '
  'failed.';

create or replace function bloud.withdraw_operation(
  p_row bloud.apps, p_operation bloud.operations, p_cause jsonb) returns void
language plpgsql as $$
begin
  if p_operation.kind = 'install' then
    perform bloud.withdraw_install(p_row, p_cause);
  else
    update bloud.apps a set status = 'error', wanted = true, deadline = null, cause = p_cause
    where a.id = p_row.id and a.status = 'stopping'; -- an app that was already stopped stays stopped
  end if;
end
$$;
comment on function bloud.withdraw_operation(bloud.apps, bloud.operations, jsonb) is
  'Sets the status of an app whose queued operation ends without being executed. The status becomes error '
  'for an uninstall, because the app still runs, and stopped or failed for an install.';

create or replace function bloud.dependencies_queued_for(p_app text) returns text[]
language sql stable as $$
  select coalesce(array_agg(o.app order by o.id desc), '{}') from bloud.operations o
  where o.kind = 'install' and o.state = 'queued' and o.requested_for = (bloud.open_operation(p_app)).id
$$;
comment on function bloud.dependencies_queued_for(text) is
  'Returns the dependencies of p_app whose installs were queued together with the install of p_app, newest '
  'first.';

create or replace function bloud.withdraw_dependencies(p_names text[], p_state text, p_cause jsonb)
returns void
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
comment on function bloud.withdraw_dependencies(text[], text, jsonb) is
  'Ends the queued installs of the given dependencies, except those that another app needs too. The caller '
  'has locked the dependencies.';

create or replace function bloud.operation_log(p_operation bigint, p_after bigint, p_limit integer)
returns table (line_no bigint, at timestamptz, line text)
language sql stable as $$
  select l.line_no, l.at, l.line
  from bloud.operations o join bloud.rebuild_log l on l.rebuild_id = o.rebuild_id
  where o.id = p_operation and l.line_no > p_after order by l.line_no limit p_limit
$$;
comment on function bloud.operation_log(bigint, bigint, integer) is
  'Returns the output of the newest rebuild that includes the operation: at most p_limit lines after line '
  'p_after.';
