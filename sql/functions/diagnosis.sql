-- Function why(), which explains the present status of one app in rows of question and answer.
-- Errors raised: BL001 unknown_app, BL002 invalid_name, BL005 not_installed.

create or replace function bloud.why(app text)
returns table (question text, answer text, since timestamptz, until timestamptz)
language plpgsql stable as $$
declare
  v_app bloud.app_status;
  v_rebuild bloud.rebuilds;
  v_line bloud.rebuild_log;
begin
  perform bloud.check_name(why.app);
  select * into v_app from bloud.app_status s where s.name = why.app;
  if not found then
    perform bloud.refuse(bloud.refusal_of('uninstall', why.app));
  end if;
  select r.* into v_rebuild from bloud.rebuilds r where r.state = 'active';
  return query select 'status',
    v_app.status || case when v_app.usual is null then '' else format(', usually %s to %s s (%s)',
      v_app.usual ->> 'p50_seconds', v_app.usual ->> 'p90_seconds', v_app.usual ->> 'of') end,
    v_app.status_since, v_app.deadline;
  if v_app.cause is not null then
    return query select 'cause', format('%s: %s', v_app.cause ->> 'class', v_app.cause ->> 'message'),
      v_app.status_since, null::timestamptz;
    return query select 'what to do', v_app.cause ->> 'hint', null::timestamptz, null::timestamptz
      where v_app.cause ? 'hint';
    return query select 'last lines', string_agg(l.line, e'\n' order by l.n),
      null::timestamptz, null::timestamptz
      from jsonb_array_elements_text(v_app.cause -> 'log') with ordinality as l (line, n)
      where v_app.cause ? 'log' having count(*) > 0;
  end if;
  if v_app.queue_position is not null then
    return query select 'position in the queue',
      format('%s of %s', v_app.queue_position, (select count(*) from bloud.queue)),
      o.requested_at, null::timestamptz from bloud.operations o where o.id = v_app.operation_id;
  end if;
  if v_app.operation_state in ('queued', 'active') and v_app.status <> 'starting' then
    return query select
      case when v_app.operation_state = 'queued' then 'rebuild before it' else 'rebuild' end,
      format('rebuild %s, %s, by %s', v_rebuild.id, v_rebuild.phase, v_rebuild.worker),
      v_rebuild.started_at, v_rebuild.deadline where v_rebuild.id is not null;
  end if;
  if v_app.operation_state = 'active' and v_rebuild.id is not null then
    select * into v_line from bloud.rebuild_log l where l.rebuild_id = v_rebuild.id
    order by l.line_no desc limit 1;
    return query select 'last output', v_line.line, v_line.at, null::timestamptz
      where v_line.line is not null;
  end if;
  return query select 'cancelling', 'cancel requested; the operation ends when its processes have ended',
    v_app.cancel_requested_at, null::timestamptz
    where v_app.cancel_requested_at is not null and v_app.operation_state = 'active';
  return query select 'restarts', format('%s in the last hour, last with exit code %s',
      v_app.restarts ->> 'count', coalesce(v_app.restarts ->> 'exit_code', 'unknown')),
    (v_app.restarts ->> 'last_at')::timestamptz, null::timestamptz where v_app.restarts is not null;
  return query select 'waits for', 'its health check to pass', v_app.status_since, v_app.deadline
    where v_app.status = 'starting';
  return query select 'needs', format('%s, which is %s', d.name, coalesce(a.status, 'not installed')),
    a.status_since, null::timestamptz
    from jsonb_each(v_app.integration_config) s
    cross join lateral jsonb_array_elements_text(s.value) as d (name)
    left join bloud.apps a on a.name = d.name where a.status is distinct from 'running';
  -- While the agent is not ready, the status of every app may be out of date.
  return query select replace(r.cause, '_', ' '), r.sentence || coalesce(' ' || r.hint, ''), r.since,
    null::timestamptz from bloud.readiness() r;
end
$$;
comment on function bloud.why(text) is
  'Explains the status of an app in rows of question and answer, for example with the reason for a failure '
  'or the position in the queue.';
