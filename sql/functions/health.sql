-- Functions that record the health of apps, and that end operations whose time limit has passed.
--
--   starting → running           the health check passed, so the install has succeeded
--   starting → error             the health check failed or did not pass in time, so the install has failed
--   running → error              a later health check failed
--   error → running              a later health check passed
--   queued → failed, stopped     the install was not started within a day
--   stopping → error             the uninstall was not started within a day
--
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.report_health(
  p_attempt bigint, p_app text, p_healthy boolean, p_cause jsonb default null) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row bloud.apps;
  v_open bloud.operations;
begin
  perform bloud.assert_attempt(p_attempt);
  if not bloud.try_lock_app(p_app) then
    -- Another transaction has locked the app. The next health check will be recorded instead.
    return (select a.status from bloud.apps a where a.name = p_app);
  end if;
  select * into v_row from bloud.apps a where a.name = p_app for update;
  if v_row.status not in ('starting', 'running', 'error')
     or v_row.status = (case when p_healthy then 'running' else 'error' end) then
    return v_row.status;
  end if;
  update bloud.apps a set status = case when p_healthy then 'running' else 'error' end, deadline = null,
    installed_at = case when p_healthy then coalesce(a.installed_at, bloud.clock()) else a.installed_at end,
    cause = case when not p_healthy then jsonb_build_object('class', 'health', 'phase', v_row.status,
      'message', format('%s is not healthy', v_row.display_name)) || coalesce(p_cause, '{}') end
  where a.id = v_row.id returning * into v_row;
  v_open := bloud.open_operation(p_app);
  if v_open.kind = 'install' and v_open.state = 'active' then
    perform bloud.end_operation(v_open.id, case when p_healthy then 'succeeded' else 'failed' end,
      v_row.cause);
  end if;
  return v_row.status;
end
$$;
comment on function bloud.report_health(bigint, text, boolean, jsonb) is
  'Records whether the health check of an app has passed, and returns the status of the app. Does nothing if '
  'another transaction has locked the app.';

create or replace function bloud.is_sweep_due() returns boolean
language sql stable as $$
  select exists (select from bloud.apps a where a.status in ('queued', 'starting', 'stopping')
      and a.deadline < bloud.clock() - interval '5 seconds')
    or exists (select from bloud.late_deadlines())
    or exists (select from bloud.rebuilds r
      where r.state in ('active', 'waiting') and r.started_at > bloud.clock())
$$;
comment on function bloud.is_sweep_due() is
  'Returns true if a time limit passed more than 5 s ago, or if a deadline is later than its own period from '
  'now, so that sweep() has something to do.';

create or replace function bloud.sweep(p_attempt bigint, p_latest timestamptz default null) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row bloud.apps;
  v_open bloud.operations;
  v_cause jsonb;
  v_swept integer := 0;
begin
  perform bloud.assert_attempt(p_attempt, false);
  if not bloud.is_sweep_due() then -- without a lock, because locks are written to the disk
    return 0;
  end if;
  perform bloud.assert_attempt(p_attempt);
  if bloud.clock() > p_latest then
    -- The clock was set forward. The orchestrator moves the deadlines before its next sweep.
    return 0;
  end if;
  perform bloud.correct_deadlines();
  for v_row in select * from bloud.apps a
      where a.status in ('queued', 'starting', 'stopping')
        and a.deadline < bloud.clock() - interval '5 seconds' order by a.name loop
    continue when not bloud.try_lock_app(v_row.name);
    continue when exists (select from unnest(bloud.apps_with(v_row.name)) as n
      where not bloud.try_lock_app(n));
    -- The app may have changed between the query and the lock, so the row is read again.
    select * into v_row from bloud.apps a where a.id = v_row.id;
    continue when not found or v_row.status not in ('queued', 'starting', 'stopping')
      or v_row.deadline >= bloud.clock() - interval '5 seconds';
    v_open := bloud.open_operation(v_row.name);
    if v_row.status = 'starting' then
      perform bloud.report_health(p_attempt, v_row.name, false, jsonb_build_object('class', 'timeout',
        'message', format('%s did not answer its health check in time', v_row.display_name),
        'hint', 'Read its log, then retry.'));
      v_swept := v_swept + 1;
    elsif v_open.state = 'queued' then
      v_cause := jsonb_build_object('class', 'timeout', 'phase', v_row.status,
        'message', 'No worker claimed the request within a day',
        'hint', 'Is the orchestrator running? Then retry.');
      if bloud.rollback_of(v_open) is not null then
        perform bloud.withdraw_rollback(bloud.rollback_of(v_open), 'failed', v_cause);
      elsif v_row.status = 'queued' then
        perform bloud.withdraw_install(v_row, v_cause);
        perform bloud.end_operation(v_open.id, 'failed', v_cause - 'hint');
      else
        perform bloud.fail_operation(v_open, v_cause);
      end if;
      v_swept := v_swept + 1;
    end if;
  end loop;
  return v_swept;
end
$$;
comment on function bloud.sweep(bigint, timestamptz) is
  'Ends as failed the operation of each app whose time limit passed more than 5 s ago. Within the 5 s the '
  'orchestrator (worker process) can report a more precise reason. Returns the number of these apps. Does '
  'nothing if the clock is later than p_latest, because it was set forward meanwhile.';
