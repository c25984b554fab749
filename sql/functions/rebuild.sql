-- Functions with which the orchestrator (worker process) records the progress of a rebuild (one change of the
-- machine). claim.sql starts the rebuild, and outcome.sql ends the rebuild.
--
--   phase configuring    the files of the apps are written, until begin_run()
--   phase building       append_log() stores the output of the switch command (`nixos-rebuild switch`), and
--                        begin_activation() records that the new configuration is being activated
--
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.begin_run(
  p_attempt bigint, p_rebuild bigint, p_generation_before text, p_desired jsonb default null)
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_rebuild bloud.rebuilds;
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.rebuilds r set phase = 'building', run = r.run + 1, log_offset = 0, activated_at = null,
    -- The id of a rebuild can be used again after a restore, but the data folder keeps the runs.
    run_key = case when r.run = 0 then left(replace(gen_random_uuid()::text, '-', ''), 12) else r.run_key end,
    generation_before = case when r.run = 0 then p_generation_before else r.generation_before end,
    desired = coalesce(r.desired, p_desired), build_started_at = coalesce(r.build_started_at, bloud.clock())
  where r.id = p_rebuild and r.state = 'active' returning * into v_rebuild;
  update bloud.apps a set status = 'building' from bloud.operations o
  where o.id = a.operation_id and o.rebuild_id = p_rebuild and o.state = 'active'
    and a.status = 'configuring';
  return v_rebuild.run;
end
$$;
comment on function bloud.begin_run(bigint, bigint, text, jsonb) is
  'Records that the orchestrator starts the switch command (`nixos-rebuild switch`). Returns the number of '
  'starts, or null if the rebuild has ended. p_desired has the apps of the new configuration, for a later '
  'rollback.';

create or replace function bloud.append_log(
  p_attempt bigint, p_rebuild bigint, p_from_offset bigint, p_to_offset bigint, p_lines text[])
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_first bigint;
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.rebuilds r set log_offset = p_to_offset, log_lines = r.log_lines + cardinality(p_lines)
  where r.id = p_rebuild and r.log_offset = p_from_offset
  returning r.log_lines - cardinality(p_lines) into v_first;
  if not found then
    return false;
  end if;
  insert into bloud.rebuild_log (rebuild_id, line_no, at, line)
  select p_rebuild, v_first + l.n, bloud.clock(), l.line from unnest(p_lines) with ordinality as l (line, n);
  return true;
end
$$;
comment on function bloud.append_log(bigint, bigint, bigint, bigint, text[]) is
  'Stores new lines of the output of the switch command (`nixos-rebuild switch`): the bytes from '
  'p_from_offset to p_to_offset. Returns false and stores nothing if p_from_offset is not the end of the '
  'stored output.';

create or replace function bloud.revert_cancel(p_operation bloud.operations) returns void
language plpgsql as $$
declare
  v_warning text := 'The cancel came too late: the machine was already being switched over, and is never '
    'left half-way. Uninstall it once it is running.';
begin
  if p_operation.cancel_requested_at is not null then
    update bloud.operations o set cancel_requested_at = null,
      warnings = case when o.warnings ? v_warning then o.warnings else o.warnings || to_jsonb(v_warning) end
    where o.id = p_operation.id;
  end if;
end
$$;
comment on function bloud.revert_cancel(bloud.operations) is
  'Removes a cancel request that came too late, and adds a warning to the operation.';

create or replace function bloud.begin_activation(p_attempt bigint, p_rebuild bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.rebuilds r set activated_at = bloud.clock()
  where r.id = p_rebuild and r.state = 'active' and r.activated_at is null;
  for v_operation in select * from bloud.operations o
      where o.rebuild_id = p_rebuild and o.state = 'active' and o.cancel_requested_at is not null loop
    perform bloud.revert_cancel(v_operation);
  end loop;
end
$$;
comment on function bloud.begin_activation(bigint, bigint) is
  'Records that the machine begins to activate the new configuration. From now on a cancel is refused '
  '(BL014), and cancel requests made before are removed.';

create or replace function bloud.report_warnings(p_attempt bigint, p_rebuild bigint, p_warnings jsonb)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.operations o set warnings = coalesce(p_warnings -> o.app, '[]')
  where o.rebuild_id = p_rebuild and o.state = 'active'
    and o.warnings is distinct from coalesce(p_warnings -> o.app, '[]');
end
$$;
comment on function bloud.report_warnings(bigint, bigint, jsonb) is
  'Stores the warnings of a rebuild in its operations: {app: [sentence]}, for example about a part of an app '
  'that could not be set up.';
