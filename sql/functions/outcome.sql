-- Functions that end a rebuild (one change of the machine) and the operations of the rebuild. Arguments for a
-- failed rebuild:
--
--   failures   {app: cause} of the failed apps, if the host can name them. An app that requires a failed app
--              fails too. A new rebuild repeats the operations of the other apps.
--   split      true if the host can't name a failed app. The operations are divided into two new rebuilds,
--              until an operation that fails is alone in a rebuild.
--   cause      reason of a failure that no app has caused, such as a full disk. All operations fail.
--
-- Errors raised: BL016 stale_attempt.

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
    where o.kind = 'install' and o.state = 'active' and a.status in ('configuring', 'building')
      and not p_failures ? a.name and s.value ? f.key
      and (c.entry #>> array['integrations', s.key, 'required'])::boolean
      and exists (select from bloud.operations d where d.rebuild_id = p_rebuild and d.app = f.key)
    limit 1;
    exit when not found;
    p_failures := p_failures || jsonb_build_object(v_row.name, jsonb_build_object(
      'class', 'preflight', 'phase', v_row.status,
      'message', format('It needs %s, which could not be installed', v_row.missing),
      'hint', format('Find the reason with: select cause from bloud.app_status where name = %L;',
        v_row.missing)));
  end loop;
  return p_failures;
end
$$;
comment on function bloud.add_dependents(jsonb, bigint) is
  'Returns p_failures ({app: cause}) with an entry added for each app that requires a failed app.';

create or replace function bloud.fail_operation(p_operation bloud.operations, p_cause jsonb) returns void
language plpgsql as $$
declare
  v_cause jsonb;
begin
  select jsonb_build_object('phase', a.status) || p_cause into v_cause
  from bloud.apps a where a.operation_id = p_operation.id;
  if p_operation.kind = 'install' then
    update bloud.apps set status = 'failed', wanted = false, deadline = null, cause = v_cause
    where operation_id = p_operation.id;
  elsif p_operation.previous_status = 'failed' then
    -- Before the uninstall the status was failed, so the app does not run, and status error would be wrong.
    update bloud.apps set status = 'stopped', deadline = null, cause = v_cause
    where operation_id = p_operation.id and status = 'stopping';
  else
    -- The app still runs, so the next rebuild must include the app again.
    update bloud.apps set status = 'error', wanted = true, deadline = null, cause = v_cause
    where operation_id = p_operation.id and status = 'stopping';
  end if;
  v_cause := coalesce(v_cause, p_cause); -- no phase is added to the cause of a rollback
  perform bloud.end_operation(p_operation.id,
    case when v_cause ->> 'class' = 'cancelled' then 'cancelled' else 'failed' end, v_cause);
end
$$;
comment on function bloud.fail_operation(bloud.operations, jsonb) is
  'Ends an operation as failed or cancelled, and sets the status of the app accordingly.';

create or replace function bloud.complete_operation(p_operation bloud.operations) returns void
language plpgsql as $$
begin
  if p_operation.kind = 'install' then -- the install stays active until report_health() ends it
    update bloud.apps a set status = 'starting', cause = null, deadline = bloud.clock()
      + make_interval(secs => (c.entry #>> '{healthCheck,timeout}')::double precision)
    from bloud.catalog_cache c where a.operation_id = p_operation.id and c.name = a.name;
    perform bloud.revert_cancel(p_operation);
    return;
  end if;
  perform bloud.end_operation(p_operation.id, 'succeeded');
  if p_operation.purge then
    delete from bloud.apps where operation_id = p_operation.id;
  else
    update bloud.apps set status = 'stopped', deadline = null, cause = null
    where operation_id = p_operation.id;
  end if;
end
$$;
comment on function bloud.complete_operation(bloud.operations) is
  'Sets the status of the app after a successful rebuild: starting after an install, stopped after an '
  'uninstall. If the data was deleted too, the row of the app is deleted.';

create or replace function bloud.requests_in(p_rebuild bigint) returns bigint[]
language sql stable as $$
  with recursive included as (
    select o.id, o.app, coalesce(o.requested_for, o.id) as request from bloud.operations o
    where o.rebuild_id = p_rebuild and o.state = 'active'),
  needs as (
    select distinct r.request, d.request as needed
    from included r join bloud.apps a on a.operation_id = r.id
    cross join lateral bloud.needs_of(a) as n (name)
    join included d on d.app = n.name where d.request <> r.request),
  ranks as (
    select r.request, 0 as rank from included r
    union
    -- The limit of 50 ends the recursion if two operations need the apps of each other.
    select n.request, r.rank + 1 from ranks r join needs n on n.needed = r.request where r.rank < 50)
  select array_agg(m.request order by m.rank, m.request)
  from (select r.request, max(r.rank) as rank from ranks r group by r.request) m
$$;
comment on function bloud.requests_in(bigint) is
  'Returns the ids of the requested operations of a rebuild. An operation comes after the operations of the '
  'apps that it needs. The install of an app that another install added is not returned.';

create or replace function bloud.follow_rebuild(p_old bloud.rebuilds, p_split boolean)
returns setof bloud.rebuilds
language plpgsql as $$
declare
  v_next bloud.rebuilds;
  v_requests bigint[] := bloud.requests_in(p_old.id);
  v_state text;
begin
  foreach v_state in array case when p_split then array['active', 'waiting'] else array['active'] end loop
    insert into bloud.rebuilds (state, attempt, worker, lease_until, deadline, started_at, follows)
    values (v_state, p_old.attempt, p_old.worker, p_old.lease_until,
      bloud.clock() + (p_old.deadline - p_old.started_at), bloud.clock(), p_old.id)
    returning * into v_next;
    update bloud.operations o set rebuild_id = v_next.id where o.rebuild_id = p_old.id and o.state = 'active'
      and (not p_split or v_state = 'waiting'
        or coalesce(o.requested_for, o.id) = any (v_requests[1:(cardinality(v_requests) + 1) / 2]));
    update bloud.apps a set deadline = v_next.deadline from bloud.operations o
    where o.id = a.operation_id and o.rebuild_id = v_next.id
      and a.status in ('configuring', 'building', 'stopping');
    if v_state = 'active' then
      return next v_next;
    end if;
  end loop;
end
$$;
comment on function bloud.follow_rebuild(bloud.rebuilds, boolean) is
  'Starts a rebuild for the remaining operations of a failed rebuild, and returns the new rebuild. With '
  'p_split, half of the operations go into a second rebuild, which waits until the first has ended.';

create or replace function bloud.end_rebuild(p_attempt bigint, p_rebuild bigint, p_switched boolean,
  p_exit_code integer, p_generation_after text, p_failures jsonb default '{}', p_cause jsonb default null,
  p_split boolean default false)
returns setof bloud.rebuilds
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_old bloud.rebuilds;
  v_operation bloud.operations;
  v_failures jsonb := p_failures;
  v_split boolean;
begin
  perform bloud.assert_attempt(p_attempt);
  perform bloud.lock_apps(array(
    select o.app from bloud.operations o join bloud.rebuilds r on r.id = o.rebuild_id
    where o.state = 'active' and (r.id = p_rebuild or r.state = 'waiting')));
  update bloud.rebuilds r set state = case when p_switched then 'succeeded' else 'failed' end,
    finished_at = bloud.clock(), exit_code = p_exit_code, generation_after = p_generation_after
  where r.id = p_rebuild and r.state = 'active' returning * into v_old;
  if not found then
    return;
  end if;
  if not p_switched then
    v_failures := bloud.add_dependents(v_failures, p_rebuild);
    if v_old.rolls_back_to is not null then -- all operations of a failed rollback fail with one cause
      p_cause := coalesce(p_cause, (select f.value from jsonb_each(p_failures) f limit 1),
        '{"class": "interrupted", "message": "The rollback did not succeed"}');
      v_failures := '{}';
    end if;
  elsif v_old.rolls_back_to is not null then
    update bloud.apps a set version = d.value ->> 'version', port = (d.value ->> 'port')::integer,
      integration_config = d.value -> 'integration_config'
    from jsonb_each(v_old.desired) d where a.name = d.key and a.status in ('running', 'error');
  end if;
  v_split := p_split and not p_switched and v_old.rolls_back_to is null
    and cardinality(bloud.requests_in(p_rebuild)) > 1;
  for v_operation in select o.* from bloud.operations o where o.state = 'active'
      and (o.rebuild_id = p_rebuild or (not p_switched and v_failures ? o.app)) order by o.id loop
    if p_switched and v_operation.purge and v_failures ? v_operation.app then
      -- The app was removed from the machine, but the data of the app could not be deleted.
      update bloud.apps set status = 'stopped', deadline = null
      where operation_id = v_operation.id and status = 'stopping';
      perform bloud.end_operation(v_operation.id, 'failed', v_failures -> v_operation.app);
    elsif p_switched then
      perform bloud.complete_operation(v_operation);
    elsif v_failures ? v_operation.app then
      perform bloud.fail_operation(v_operation, v_failures -> v_operation.app);
    elsif p_cause is not null and not v_split then
      perform bloud.fail_operation(v_operation, p_cause);
    end if;
  end loop;
  if not p_switched
     and exists (select from bloud.operations o where o.rebuild_id = p_rebuild and o.state = 'active') then
    return query select * from bloud.follow_rebuild(v_old, v_split);
  end if;
  -- A waiting rebuild without an active operation has nothing left to do.
  update bloud.rebuilds r set state = 'failed', finished_at = bloud.clock()
  where r.state = 'waiting'
    and not exists (select from bloud.operations o where o.rebuild_id = r.id and o.state = 'active');
end
$$;
comment on function bloud.end_rebuild(bigint, bigint, boolean, integer, text, jsonb, jsonb, boolean) is
  'Ends a rebuild. p_switched is true if the machine runs the new configuration. p_failures ({app: cause}) '
  'has the failed apps, or the apps whose data could not be deleted. p_cause is the reason if no single app '
  'caused the failure: all operations fail, unless p_split divides them into two new rebuilds. Returns the '
  'new rebuild of the remaining operations, or no row.';
