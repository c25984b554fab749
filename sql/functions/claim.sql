-- Functions with which the orchestrator (worker process) starts a rebuild: one change of the machine for all
-- queued operations. A queued rollback gets a rebuild of its own, before all other operations.
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.filter_claimable(p_names text[]) returns text[]
language plpgsql as $$
declare
  v_found record;
begin
  loop
    select o as operation, o.app, n.name as need into v_found
    from bloud.operations o join bloud.apps a on a.operation_id = o.id
    cross join lateral bloud.needs_of(a) as n (name)
    where o.app = any (p_names) and o.kind = 'install' and o.state = 'queued'
      and (not bloud.is_installed(n.name) or (not n.name = any (p_names)
          and exists (select from bloud.apps w where w.name = n.name and w.status = 'queued')))
    order by bloud.is_installed(n.name), o.id limit 1;
    exit when not found;
    p_names := array_remove(p_names, v_found.app);
    if not bloud.is_installed(v_found.need) then
      perform bloud.fail_operation(v_found.operation, jsonb_build_object('class', 'preflight',
        'message', format('It needs %s, which is not installed any more', v_found.need),
        'hint', format('Retry: that installs %s too.', v_found.need)));
    end if; -- if the needed app is locked elsewhere, both apps stay queued
  end loop;
  return p_names;
end
$$;
comment on function bloud.filter_claimable(text[]) is
  'Removes from the given queued apps those that need an app that is neither installed nor in the list, and '
  'returns the rest. Ends an install as failed if such a dependency was cancelled or has failed.';

create or replace function bloud.start_rebuild(p_operations bigint[], p_deadline_seconds integer)
returns bloud.rebuilds
language plpgsql as $$
declare
  v_rebuild bloud.rebuilds;
begin
  insert into bloud.rebuilds (attempt, worker, lease_until, deadline, started_at)
  select l.attempt, l.worker, l.lease_until, bloud.clock() + make_interval(secs => p_deadline_seconds),
    bloud.clock()
  from bloud.lease l returning * into v_rebuild;
  update bloud.operations o set state = 'active', rebuild_id = v_rebuild.id, started_at = bloud.clock()
  where o.state = 'queued' and o.id = any (p_operations);
  update bloud.apps a set status = 'configuring', wanted = true, deadline = v_rebuild.deadline
  from bloud.operations o
  where o.id = a.operation_id and o.rebuild_id = v_rebuild.id and o.kind = 'install';
  update bloud.apps a set deadline = v_rebuild.deadline
  from bloud.operations o
  where o.id = a.operation_id and o.rebuild_id = v_rebuild.id and a.status = 'stopping';
  return v_rebuild;
end
$$;
comment on function bloud.start_rebuild(bigint[], integer) is
  'Starts a rebuild for the given queued operations and returns the rebuild.';

create or replace function bloud.has_work() returns boolean
language sql stable as $$
  select exists (select from bloud.rebuilds r where r.state in ('active', 'waiting'))
    or exists (select from bloud.operations o
      where o.state = 'queued' and o.kind in ('install', 'uninstall', 'rollback'))
$$;
comment on function bloud.has_work() is
  'Returns true if a rebuild is open or if an operation waits for one, so that claim_rebuild() may return a '
  'rebuild.';

create or replace function bloud.claim_rebuild(p_attempt bigint, p_deadline_seconds integer)
returns setof bloud.rebuilds
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_rebuild bloud.rebuilds;
  v_rollback bloud.operations;
  v_names text[];
  v_operations bigint[];
begin
  perform bloud.assert_attempt(p_attempt, false);
  if not bloud.has_work() then -- without a lock, because locks are written to the disk
    return;
  end if;
  perform bloud.assert_attempt(p_attempt);
  perform bloud.correct_deadlines();
  select * into v_rebuild from bloud.rebuilds r where r.state = 'active';
  if found then
    return next v_rebuild;
    return;
  end if;
  update bloud.rebuilds r set state = 'active', attempt = l.attempt, worker = l.worker,
    lease_until = l.lease_until, started_at = bloud.clock(),
    deadline = bloud.clock() + make_interval(secs => p_deadline_seconds)
  from bloud.lease l
  where r.id = (select min(w.id) from bloud.rebuilds w where w.state = 'waiting') and l.attempt = p_attempt
  returning r.* into v_rebuild;
  if found then
    update bloud.apps a set deadline = v_rebuild.deadline from bloud.operations o
    where o.id = a.operation_id and o.rebuild_id = v_rebuild.id
      and a.status in ('configuring', 'building', 'stopping');
    return next v_rebuild;
    return;
  end if;
  select * into v_rollback from bloud.operations o where o.kind = 'rollback' and o.state = 'queued';
  if found then
    return query select * from bloud.claim_rollback(v_rollback, p_deadline_seconds);
    return;
  end if;
  -- Skips apps that another transaction has locked. The next call can include these apps.
  select array_agg(o.app) into v_names from (
    select q.app from bloud.operations q
    where q.state = 'queued' and q.kind in ('install', 'uninstall') order by q.app) o
  where bloud.try_lock_app(o.app);
  v_names := bloud.filter_claimable(v_names);
  -- Operations of a rollback that was committed since the check above belong to a rebuild of their own.
  v_operations := array(select o.id from bloud.operations o
    where o.state = 'queued' and o.app = any (v_names) and bloud.rollback_of(o) is null);
  if v_operations <> '{}' then
    return next bloud.start_rebuild(v_operations, p_deadline_seconds);
  end if;
end
$$;
comment on function bloud.claim_rebuild(bigint, integer) is
  'Returns the active rebuild. If there is none, starts a waiting rebuild, or a new one for the queued '
  'operations. Returns no row if there is no work. p_deadline_seconds is the time limit of the rebuild.';
