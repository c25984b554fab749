-- The orchestrator's functions. A rebuild is one run of the host's switch for all operations that were waiting:
--
--   configuring → building → succeeded | failed       (failed with others left → a new rebuild follows it)
--
-- Every write carries the attempt number of the lease (lease.sql); an old one is refused (BL016).

create or replace function bloud.drop_unmet(p_names text[]) returns text[]
language plpgsql as $$
declare
  v_found record;
begin
  loop
    select o as operation, o.app, n.name as need into v_found
    from bloud.operations o join bloud.apps a on a.operation_id = o.id cross join lateral bloud.needs_of(a) as n (name)
    where o.app = any (p_names) and o.kind = 'install' and o.state = 'queued' and (not bloud.is_installed(n.name)
      or (not n.name = any (p_names) and exists (select from bloud.apps w where w.name = n.name and w.status = 'queued')))
    order by bloud.is_installed(n.name), o.id limit 1;
    exit when not found;
    p_names := array_remove(p_names, v_found.app);
    if not bloud.is_installed(v_found.need) then
      perform bloud.fail_operation(v_found.operation, jsonb_build_object('class', 'preflight',
        'message', format('It needs %s, which is not installed any more', v_found.need),
        'hint', format('Retry: that installs %s too.', v_found.need)));
    end if; -- otherwise its need waits, because somebody holds it, and so does the app
  end loop;
  return p_names;
end
$$;
comment on function bloud.drop_unmet(text[]) is
  'Of these queued apps those that can be built now. One whose need was cancelled or has failed meanwhile is failed; one whose need can''t be claimed yet waits with it.';

create or replace function bloud.start_rebuild(p_operations bigint[], p_deadline_seconds integer) returns bloud.rebuilds
language plpgsql as $$
declare
  v_rebuild bloud.rebuilds;
begin
  insert into bloud.rebuilds (attempt, worker, lease_until, deadline, started_at)
  select l.attempt, l.worker, l.lease_until, bloud.clock() + make_interval(secs => p_deadline_seconds), bloud.clock()
  from bloud.lease l returning * into v_rebuild;
  update bloud.operations o set state = 'active', rebuild_id = v_rebuild.id, started_at = bloud.clock()
  where o.state = 'queued' and o.id = any (p_operations);
  update bloud.apps a set status = 'configuring', wanted = true, deadline = v_rebuild.deadline
  from bloud.operations o where o.id = a.operation_id and o.rebuild_id = v_rebuild.id and o.kind = 'install';
  update bloud.apps a set deadline = v_rebuild.deadline
  from bloud.operations o where o.id = a.operation_id and o.rebuild_id = v_rebuild.id and a.status = 'stopping';
  return v_rebuild;
end
$$;
comment on function bloud.start_rebuild(bigint[], integer) is 'A new rebuild at work, which carries these queued operations. For the holder of the lease.';

create or replace function bloud.claim_rebuild(p_attempt bigint, p_deadline_seconds integer) returns setof bloud.rebuilds
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_rebuild bloud.rebuilds;
  v_rollback bloud.operations;
  v_names text[];
begin
  perform bloud.assert_attempt(p_attempt);
  select * into v_rebuild from bloud.rebuilds r where r.state = 'active';
  if found then
    return next v_rebuild;
    return;
  end if;
  update bloud.rebuilds r set state = 'active', attempt = l.attempt, worker = l.worker, lease_until = l.lease_until,
    started_at = bloud.clock(), deadline = bloud.clock() + make_interval(secs => p_deadline_seconds)
  from bloud.lease l
  where r.id = (select min(w.id) from bloud.rebuilds w where w.state = 'waiting') and l.attempt = p_attempt
  returning r.* into v_rebuild;
  if found then
    update bloud.apps a set deadline = v_rebuild.deadline from bloud.operations o
    where o.id = a.operation_id and o.rebuild_id = v_rebuild.id and a.status in ('configuring', 'building', 'stopping');
    return next v_rebuild;
    return;
  end if;
  select * into v_rollback from bloud.operations o where o.kind = 'rollback' and o.state = 'queued';
  if found then
    return query select * from bloud.claim_rollback(v_rollback, p_deadline_seconds);
    return;
  end if;
  -- An app held by somebody's open transaction waits for the next round; all others go on.
  select array_agg(o.app) into v_names from (
    select q.app from bloud.operations q where q.state = 'queued' and q.kind in ('install', 'uninstall') order by q.app) o
  where pg_try_advisory_xact_lock(45069, hashtext(o.app));
  v_names := bloud.drop_unmet(v_names);
  if v_names is null or not exists (select from bloud.operations o where o.state = 'queued' and o.app = any (v_names)) then
    return;
  end if;
  return next bloud.start_rebuild(array(select o.id from bloud.operations o where o.state = 'queued' and o.app = any (v_names)),
    p_deadline_seconds);
end
$$;
comment on function bloud.claim_rebuild(bigint, integer) is
  'Orchestrator: the rebuild at work, or one that waits, or a new one that carries all queued operations (a rollback rides alone, and first), or no row. p_deadline_seconds: how long it may take in all.';

create or replace function bloud.begin_run(p_attempt bigint, p_rebuild bigint, p_generation_before text, p_desired jsonb default null)
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_rebuild bloud.rebuilds;
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.rebuilds r set phase = 'building', run = r.run + 1, log_offset = 0, activated_at = null,
    generation_before = case when r.run = 0 then p_generation_before else r.generation_before end,
    desired = coalesce(r.desired, p_desired), build_started_at = coalesce(r.build_started_at, bloud.clock())
  where r.id = p_rebuild and r.state = 'active' returning * into v_rebuild;
  update bloud.apps a set status = 'building' from bloud.operations o
  where o.id = a.operation_id and o.rebuild_id = p_rebuild and o.state = 'active' and a.status = 'configuring';
  return v_rebuild.run;
end
$$;
comment on function bloud.begin_run(bigint, bigint, text, jsonb) is
  'Orchestrator: configuration is written, the switch is about to start. Returns the number of the run within the rebuild (2 and up: started again after it was lost), null if the rebuild is over. p_desired: the apps as they were configured, {app: {version, port, integration_config}}; without it nobody can roll back to what this makes.';

create or replace function bloud.append_log(p_attempt bigint, p_rebuild bigint, p_from_offset bigint, p_to_offset bigint, p_lines text[])
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_first bigint;
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.rebuilds r set log_offset = p_to_offset, log_lines = r.log_lines + cardinality(p_lines)
  where r.id = p_rebuild and r.log_offset = p_from_offset returning r.log_lines - cardinality(p_lines) into v_first;
  if not found then
    return false;
  end if;
  insert into bloud.rebuild_log (rebuild_id, line_no, at, line)
  select p_rebuild, v_first + l.n, bloud.clock(), l.line from unnest(p_lines) with ordinality as l (line, n);
  return true;
end
$$;
comment on function bloud.append_log(bigint, bigint, bigint, bigint, text[]) is
  'Orchestrator: appends whole lines read from p_from_offset to p_to_offset (bytes) of the run''s log. False, and nothing written, if the log is not at p_from_offset: no line is lost or doubled after a restart.';

create or replace function bloud.add_dependents(p_failures jsonb, p_rebuild bigint) returns jsonb
language plpgsql stable as $$
declare
  v_row record;
begin
  loop
    select a.name, a.status, f.key as missing into v_row
    from bloud.operations o join bloud.apps a on a.operation_id = o.id
    join bloud.catalog_cache c on c.name = a.name
    cross join jsonb_each(p_failures) f cross join jsonb_each(a.integration_config) s
    where o.kind = 'install' and o.state = 'active' and a.status in ('configuring', 'building') and not p_failures ? a.name
      and s.value ? f.key and (c.entry #>> array['integrations', s.key, 'required'])::boolean
      and exists (select from bloud.operations d where d.rebuild_id = p_rebuild and d.app = f.key)
    limit 1;
    exit when not found;
    p_failures := p_failures || jsonb_build_object(v_row.name, jsonb_build_object('class', 'preflight', 'phase', v_row.status,
      'message', format('It needs %s, which could not be installed', v_row.missing),
      'hint', format('See why with: select cause from bloud.app_status where name = %L;', v_row.missing)));
  end loop;
  return p_failures;
end
$$;
comment on function bloud.add_dependents(jsonb, bigint) is 'The failures, with one for each app of the rebuild that needs a failed one.';

create or replace function bloud.fail_operation(p_operation bloud.operations, p_cause jsonb) returns void
language plpgsql as $$
declare
  v_cause jsonb;
begin
  select jsonb_build_object('phase', a.status) || p_cause into v_cause from bloud.apps a where a.operation_id = p_operation.id;
  if p_operation.kind = 'install' then
    update bloud.apps set status = 'failed', wanted = false, deadline = null, cause = v_cause where operation_id = p_operation.id;
  elsif p_operation.previous_status = 'failed' then -- it was not on, and must not come into the next rebuild
    update bloud.apps set status = 'stopped', deadline = null, cause = v_cause where operation_id = p_operation.id and status = 'stopping';
  else -- a removal that failed: the app is still on; one that was off already stays off
    update bloud.apps set status = 'error', wanted = true, deadline = null, cause = v_cause
    where operation_id = p_operation.id and status = 'stopping';
  end if;
  v_cause := coalesce(v_cause, p_cause); -- a rollback is of no app
  perform bloud.end_operation(p_operation.id, case when v_cause ->> 'class' = 'cancelled' then 'cancelled' else 'failed' end, v_cause);
end
$$;
comment on function bloud.fail_operation(bloud.operations, jsonb) is 'Ends an operation that did not succeed, and moves its app accordingly.';

create or replace function bloud.take_back_cancel(p_operation bloud.operations) returns void
language plpgsql as $$
declare
  v_why text := 'The cancel came too late: the machine was already being switched over, and is never left half-way. Uninstall it once it is on.';
begin
  if p_operation.cancel_requested_at is not null then
    update bloud.operations o set cancel_requested_at = null,
      warnings = case when o.warnings ? v_why then o.warnings else o.warnings || to_jsonb(v_why) end
    where o.id = p_operation.id;
  end if;
end
$$;
comment on function bloud.take_back_cancel(bloud.operations) is
  'A cancel that was accepted can''t be carried out any more: its operation goes on, with the reason among its warnings.';

create or replace function bloud.begin_activation(p_attempt bigint, p_rebuild bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.rebuilds r set activated_at = bloud.clock() where r.id = p_rebuild and r.state = 'active' and r.activated_at is null;
  for v_operation in select * from bloud.operations o
      where o.rebuild_id = p_rebuild and o.state = 'active' and o.cancel_requested_at is not null loop
    perform bloud.take_back_cancel(v_operation);
  end loop;
end
$$;
comment on function bloud.begin_activation(bigint, bigint) is
  'Orchestrator: the host is being switched over, so a cancel is refused (BL014) from now on, and one accepted before is taken back. Harmless when said again.';

create or replace function bloud.complete_operation(p_operation bloud.operations) returns void
language plpgsql as $$
begin
  if p_operation.kind = 'install' then -- the operation succeeds when the app is healthy
    update bloud.apps a set status = 'starting', cause = null,
      deadline = bloud.clock() + make_interval(secs => coalesce((c.entry #>> '{healthCheck,timeout}')::double precision, 60))
    from bloud.catalog_cache c where a.operation_id = p_operation.id and c.name = a.name;
    perform bloud.take_back_cancel(p_operation);
    return;
  end if;
  perform bloud.end_operation(p_operation.id, 'succeeded');
  if p_operation.purge then
    delete from bloud.apps where operation_id = p_operation.id;
  else
    update bloud.apps set status = 'stopped', deadline = null, cause = null where operation_id = p_operation.id;
  end if;
end
$$;
comment on function bloud.complete_operation(bloud.operations) is
  'The host was rebuilt for this operation: an installed app is starting, a removed one is off, a purged one gone.';

create or replace function bloud.report_warnings(p_attempt bigint, p_rebuild bigint, p_warnings jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform bloud.assert_attempt(p_attempt);
  update bloud.operations o set warnings = coalesce(p_warnings -> o.app, '[]')
  where o.rebuild_id = p_rebuild and o.state = 'active' and o.warnings is distinct from coalesce(p_warnings -> o.app, '[]');
end
$$;
comment on function bloud.report_warnings(bigint, bigint, jsonb) is
  'Orchestrator: what could not be set up although the app itself could, {app: [sentence]}; kept with the operation.';

create or replace function bloud.requests_in(p_rebuild bigint) returns bigint[]
language sql stable as $$
  with recursive riding as (
    select o.id, o.app, coalesce(o.requested_for, o.id) as asked from bloud.operations o
    where o.rebuild_id = p_rebuild and o.state = 'active'),
  needs as (
    select distinct r.asked, d.asked as needed from riding r join bloud.apps a on a.operation_id = r.id
    cross join lateral bloud.needs_of(a) as n (name) join riding d on d.app = n.name where d.asked <> r.asked),
  ranks as (
    select r.asked, 0 as rank from riding r
    union
    select n.asked, r.rank + 1 from ranks r join needs n on n.needed = r.asked where r.rank < 50) -- no catalog is deeper
  select array_agg(m.asked order by m.rank, m.asked)
  from (select r.asked, max(r.rank) as rank from ranks r group by r.asked) m
$$;
comment on function bloud.requests_in(bigint) is
  'The requests at work in a rebuild, each by its own operation (what it brought along goes with it); what others need comes first.';

create or replace function bloud.follow_rebuild(p_old bloud.rebuilds, p_split boolean) returns setof bloud.rebuilds
language plpgsql as $$
declare
  v_next bloud.rebuilds;
  v_asked bigint[] := bloud.requests_in(p_old.id);
  v_state text;
begin
  foreach v_state in array case when p_split then array['active', 'waiting'] else array['active'] end loop
    insert into bloud.rebuilds (state, attempt, worker, lease_until, deadline, started_at, follows)
    values (v_state, p_old.attempt, p_old.worker, p_old.lease_until, bloud.clock() + (p_old.deadline - p_old.started_at),
      bloud.clock(), p_old.id)
    returning * into v_next;
    update bloud.operations o set rebuild_id = v_next.id where o.rebuild_id = p_old.id and o.state = 'active'
      and (not p_split or v_state = 'waiting'
        or coalesce(o.requested_for, o.id) = any (v_asked[1:(cardinality(v_asked) + 1) / 2]));
    update bloud.apps a set deadline = v_next.deadline from bloud.operations o
    where o.id = a.operation_id and o.rebuild_id = v_next.id and a.status in ('configuring', 'building', 'stopping');
    if v_state = 'active' then
      return next v_next;
    end if;
  end loop;
end
$$;
comment on function bloud.follow_rebuild(bloud.rebuilds, boolean) is
  'The rebuild for what a failed one has left. p_split: for the first half of it; the other half waits for its turn in one of its own.';

create or replace function bloud.end_rebuild(p_attempt bigint, p_rebuild bigint, p_switched boolean, p_exit_code integer,
  p_generation_after text, p_failures jsonb default '{}', p_cause jsonb default null, p_split boolean default false)
returns setof bloud.rebuilds
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_old bloud.rebuilds;
  v_operation bloud.operations;
  v_failures jsonb := p_failures;
  v_split boolean;
begin
  perform bloud.assert_attempt(p_attempt);
  perform bloud.lock_apps(array(select o.app from bloud.operations o join bloud.rebuilds r on r.id = o.rebuild_id
    where o.state = 'active' and (r.id = p_rebuild or r.state = 'waiting')));
  update bloud.rebuilds r set state = case when p_switched then 'succeeded' else 'failed' end, finished_at = bloud.clock(),
    exit_code = p_exit_code, generation_after = p_generation_after
  where r.id = p_rebuild and r.state = 'active' returning * into v_old;
  if not found then
    return;
  end if;
  if not p_switched then
    v_failures := bloud.add_dependents(v_failures, p_rebuild);
    if v_old.rolls_back_to is not null then -- all or nothing
      p_cause := coalesce(p_cause, (select f.value from jsonb_each(p_failures) f limit 1),
        '{"class": "interrupted", "message": "The rollback did not succeed"}');
      v_failures := '{}';
    end if;
  elsif v_old.rolls_back_to is not null then
    update bloud.apps a set version = d.value ->> 'version', port = (d.value ->> 'port')::integer,
      integration_config = d.value -> 'integration_config'
    from jsonb_each(v_old.desired) d where a.name = d.key and a.status in ('running', 'error');
  end if;
  v_split := p_split and not p_switched and v_old.rolls_back_to is null and cardinality(bloud.requests_in(p_rebuild)) > 1;
  for v_operation in select o.* from bloud.operations o where o.state = 'active'
      and (o.rebuild_id = p_rebuild or (not p_switched and v_failures ? o.app)) order by o.id loop
    if p_switched and v_operation.purge and v_failures ? v_operation.app then -- it is off, but its data is still there
      update bloud.apps set status = 'stopped', deadline = null where operation_id = v_operation.id and status = 'stopping';
      perform bloud.end_operation(v_operation.id, 'failed', v_failures -> v_operation.app);
    elsif p_switched then
      perform bloud.complete_operation(v_operation);
    elsif v_failures ? v_operation.app then
      perform bloud.fail_operation(v_operation, v_failures -> v_operation.app);
    elsif p_cause is not null and not v_split then
      perform bloud.fail_operation(v_operation, p_cause);
    end if;
  end loop;
  if exists (select from bloud.operations o where o.rebuild_id = p_rebuild and o.state = 'active') and not p_switched then
    return query select * from bloud.follow_rebuild(v_old, v_split);
  end if;
  -- A rebuild that waits and whose last operation has just failed has nothing to wait for.
  update bloud.rebuilds r set state = 'failed', finished_at = bloud.clock()
  where r.state = 'waiting' and not exists (select from bloud.operations o where o.rebuild_id = r.id and o.state = 'active');
end
$$;
comment on function bloud.end_rebuild(bigint, bigint, boolean, integer, text, jsonb, jsonb, boolean) is
  'Orchestrator: what was observed. p_switched: the host runs the new configuration (p_failures then names purges whose data could not be deleted). Otherwise p_failures ({app: cause}) fail alone and a rebuild for the others is returned; with p_cause all others fail too, unless p_split and several were asked for: then halves are tried until the guilty one is alone.';
