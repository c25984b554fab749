-- Function cancel(), which ends the open (queued or active) operation of an app:
--
--   queued → cancelled    at once, together with the queued dependencies that no other app needs
--   active → cancelled    after the orchestrator (worker process) has stopped the work
--   active → active       if the machine has begun to activate its new configuration in the meantime
--
-- If the operation belongs to a rollback, all operations of the rollback are cancelled together.
-- Errors raised: BL001 unknown_app, BL002 invalid_name, BL013 nothing_to_cancel, BL014 too_late_to_cancel,
-- BL019 wrong_isolation.

create or replace function bloud.cancel(app text) returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_open bloud.operations;
  v_row bloud.apps;
  v_names text[];
begin
  perform bloud.check_name(cancel.app);
  v_open := bloud.lock_related(cancel.app);
  v_names := bloud.dependencies_queued_for(cancel.app);
  if v_open.cancel_requested_at is not null then
    return v_open;
  end if;
  perform bloud.refuse(bloud.refusal_of('cancel', cancel.app));
  select * into v_row from bloud.apps a where a.name = cancel.app;
  if v_open.state = 'active' then -- the orchestrator ends an active operation once its work has stopped
    update bloud.operations o set cancel_requested_at = bloud.clock()
    where o.id = v_open.id returning * into v_open;
    return v_open;
  elsif bloud.rollback_of(v_open) is not null then
    perform bloud.withdraw_rollback(bloud.rollback_of(v_open), 'cancelled',
      bloud.cancelled_cause(v_row.status));
    return (select o from bloud.operations o where o.id = v_open.id);
  end if;
  -- Waits until no other transaction is installing an app that shares a dependency. The locks are taken in
  -- alphabetical order, so that two transactions never wait for each other.
  perform bloud.lock_key('dependency:' || s.n)
  from (select n from unnest(v_names) as n order by n) s;
  perform bloud.withdraw_operation(v_row, v_open, bloud.cancelled_cause(v_row.status));
  perform bloud.withdraw_dependencies(v_names, 'cancelled', bloud.cancelled_cause(v_row.status));
  return bloud.end_operation(v_open.id, 'cancelled', bloud.cancelled_cause(v_row.status));
end
$$;
comment on function bloud.cancel(text) is
  'Cancels the open operation of an app and returns the operation. An active operation ends later, when the '
  'orchestrator (worker process) has stopped the work.';
