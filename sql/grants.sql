-- Privileges of the PostgreSQL roles that roles.sql creates. Every deployment revokes all privileges first,
-- so that only the grants in this file are in effect.

revoke all on schema bloud from public;
revoke all on all tables in schema bloud
  from public, bloud_viewer, bloud_operator, bloud_relay, bloud_orchestrator;
revoke all on all sequences in schema bloud
  from public, bloud_viewer, bloud_operator, bloud_relay, bloud_orchestrator;
revoke all on all functions in schema bloud
  from public, bloud_viewer, bloud_operator, bloud_relay, bloud_orchestrator;
revoke all on type bloud.refusal, bloud.app_name, bloud.tcp_port, bloud.status, bloud.cause, bloud.choices
  from public;
alter default privileges for role bloud_owner revoke execute on functions from public;

grant usage on schema bloud to bloud_viewer, bloud_relay;
grant select on all tables in schema bloud to bloud_viewer, bloud_relay;
-- Any privilege on a table includes the right to lock it, so readers have none on the tables that are locks.
revoke all on bloud.lock_events, bloud.lock_verbs, bloud.lock_keys from bloud_viewer, bloud_relay;
-- check_invariants() reads the last value of this sequence with the privileges of the caller.
grant select on sequence bloud.events_seq to bloud_viewer, bloud_relay;
grant execute on function
  bloud.clock(), bloud.session_actor(), bloud.is_relay(), bloud.session_origin(), bloud.schema_version(),
  bloud.check_name(text), bloud.refuse(bloud.refusal),
  bloud.plan_install(text, jsonb), bloud.plan_uninstall(text, boolean), bloud.plan_rollback(),
  bloud.refusal_of_rollback(), bloud.find_rollback(), bloud.rollback_of(bloud.operations),
  bloud.is_installed(text), bloud.required_by(text), bloud.needs_of(bloud.apps), bloud.open_operation(text),
  bloud.controls(text), bloud.controls_of(bloud.apps, bloud.operations, text[]),
  bloud.control_of(bloud.refusal), bloud.refusal_of(text, text),
  bloud.refusal_of_install(text, bloud.apps, bloud.operations),
  bloud.refusal_of_uninstall(text, bloud.apps, bloud.operations, boolean, text[]),
  bloud.refusal_of_cancel(text, bloud.apps, bloud.operations),
  bloud.refusal_of_retry(text, bloud.apps, bloud.operations),
  bloud.usual_duration(text, text), bloud.recent_restarts(text),
  bloud.step_durations(text, bigint), bloud.why(text),
  bloud.status_at(text, timestamptz), bloud.check_invariants(), bloud.check_state(),
  bloud.check_events(bigint, bigint), bloud.last_events(), bloud.readiness(), bloud.blocking_sessions(),
  bloud.stream_head(), bloud.events_after(bigint, integer), bloud.stream_after(bigint, integer),
  bloud.is_led(), bloud.longest_lease(), bloud.refusal_of_folder(text, text, text),
  bloud.refusal_of_copy(text, text), bloud.is_connected(text),
  bloud.pairing_refusal(), bloud.snapshot(), bloud.operation_log(bigint, bigint, integer)
to bloud_viewer, bloud_relay;

-- Only the relay reads the history for others, so only the relay gives it a new epoch.
grant execute on function bloud.check_history(text, bigint, timestamptz) to bloud_relay;

grant execute on function
  bloud.install(text, jsonb), bloud.uninstall(text, text), bloud.uninstall(text, boolean),
  bloud.retry(text), bloud.cancel(text),
  bloud.rename(text, text), bloud.refresh_catalog(), bloud.rollback()
to bloud_operator;

grant execute on function
  bloud.acquire_lease(text, integer, text, boolean, text), bloud.renew_lease(bigint, integer),
  bloud.release_lease(bigint), bloud.report_worker(text, timestamptz, jsonb),
  bloud.pair_folder(text, text, text), bloud.adopt(text, text),
  bloud.sync_catalog(bigint, jsonb, jsonb), bloud.fail_refresh(bigint, jsonb),
  bloud.gone_holder(), bloud.has_work(), bloud.is_sweep_due(), bloud.late_deadlines(),
  bloud.claim_rebuild(bigint, integer), bloud.begin_run(bigint, bigint, text, jsonb),
  bloud.append_log(bigint, bigint, bigint, bigint, text[]),
  bloud.end_rebuild(bigint, bigint, boolean, integer, text, jsonb, jsonb, boolean),
  bloud.report_warnings(bigint, bigint, jsonb), bloud.begin_activation(bigint, bigint),
  bloud.report_health(bigint, text, boolean, jsonb),
  bloud.report_restarts(bigint, text, text, integer, integer, jsonb), bloud.sweep(bigint, timestamptz),
  bloud.move_deadlines(bigint, interval),
  bloud.prune(bigint, interval, integer, integer, bigint),
  bloud.record_check(bigint, bigint, jsonb, boolean)
to bloud_orchestrator;
