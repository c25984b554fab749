-- Functions for restarts: the process of a running app ended, and the host started it again. A restart is an
-- event from running to running, whose cause has the exit code and the number of restarts.
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.report_restarts(p_attempt bigint, p_app text, p_series text,
  p_restarts integer, p_exit_code integer, p_log jsonb default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row bloud.apps;
  v_new integer;
begin
  perform bloud.assert_attempt(p_attempt);
  if not bloud.try_lock_app(p_app) then
    return false;
  end if;
  select * into v_row from bloud.apps a where a.name = p_app for update;
  if not found or v_row.status <> 'running' then
    return false;
  end if;
  v_new := case when v_row.restart_series = p_series then p_restarts - v_row.restarts else p_restarts end;
  update bloud.apps a set restart_series = p_series, restarts = p_restarts where a.id = v_row.id;
  if v_new > 0 then
    -- The event gets the cause of this update. The app runs, so its own cause is restored.
    update bloud.apps a set status = 'running', cause = jsonb_strip_nulls(jsonb_build_object(
      'class', 'health', 'phase', 'running', 'restarts', v_new, 'exit_code', p_exit_code, 'unit', p_app,
      'log', p_log, 'message', format('%s ended%s%s and was started again', v_row.display_name,
        case when v_new > 1 then format(' %s times, last', v_new) end,
        ' with exit code ' || p_exit_code)))
    where a.id = v_row.id;
    update bloud.apps a set cause = v_row.cause where a.id = v_row.id;
  end if;
  return true;
end
$$;
comment on function bloud.report_restarts(bigint, text, text, integer, integer, jsonb) is
  'Records the restarts of a running app that no event has recorded yet. Returns false if another '
  'transaction has locked the app, or if the app is not running.';

create or replace function bloud.recent_restarts(p_app text) returns jsonb
language sql stable as $$
  select jsonb_build_object('count', sum((e.cause ->> 'restarts')::integer),
    'exit_code', (array_agg(e.cause -> 'exit_code' order by e.seq desc))[1], 'last_at', max(e.at))
  from bloud.events e
  where e.app = p_app and e.from_status = e.to_status and e.at > bloud.clock() - interval '1 hour'
  having count(*) > 0
$$;
comment on function bloud.recent_restarts(text) is
  'Returns the restarts of an app in the last hour: {count, exit_code, last_at}, or null without one.';
