-- Functions of the lease: a lock with a time limit that lets only one worker (orchestrator process) change
-- the machine.
--
-- Each time a worker acquires the lease, the worker gets a new attempt number (fencing token) and passes the
-- number to every function that writes. A worker that has lost the lease can't write any more, because older
-- numbers are refused.
-- Errors raised: BL016 stale_attempt, BL022 other_folder.

create or replace function bloud.longest_lease() returns interval
language sql immutable as $$
  select interval '60 seconds'
$$;
comment on function bloud.longest_lease() is
  'Returns the longest time for which a worker can hold the lease without renewing it. A lease that ends '
  'later was stored by a clock that was ahead, and counts as expired.';

create or replace function bloud.is_led() returns boolean
language sql stable as $$
  select coalesce(l.lease_until between bloud.clock() and bloud.clock() + bloud.longest_lease(), false)
  from bloud.lease l
$$;
comment on function bloud.is_led() is 'Returns true while a worker (orchestrator process) holds the lease.';

create or replace function bloud.is_connected(p_worker text) returns boolean
language sql stable as $$
  -- src/main/orchestrator.ts gives its sessions this name, of which PostgreSQL keeps 63 characters.
  select exists (select from pg_stat_activity a where a.datname = current_database()
    and a.application_name = 'bloud-orchestrator-' || right(p_worker, 44))
$$;
comment on function bloud.is_connected(text) is
  'Returns true while a worker (orchestrator process) has a session in this database.';

create or replace function bloud.gone_holder() returns text
language sql stable as $$
  select l.worker from bloud.lease l where bloud.is_led() and not bloud.is_connected(l.worker)
$$;
comment on function bloud.gone_holder() is
  'Returns the worker that holds the lease but has no session in this database, or null.';

create or replace function bloud.acquire_lease(p_worker text, p_seconds integer, p_folder text default null,
  p_predecessor_ended boolean default false, p_gone text default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_lease bloud.lease;
begin
  update bloud.lease l set attempt = l.attempt + 1, worker = p_worker, folder_id = p_folder,
    lease_until = bloud.clock() + least(make_interval(secs => p_seconds), bloud.longest_lease())
  where l.worker = p_worker
    -- A copy of the data folder has the same id, so its worker must not count as the successor.
    or (p_predecessor_ended and l.folder_id = p_folder
      and split_part(l.worker, ':', 1) = split_part(p_worker, ':', 1) and not bloud.is_connected(l.worker))
    or (l.worker = p_gone and not bloud.is_connected(l.worker))
    -- Not is_led(), which would not read the row again after a wait for another worker.
    or (l.lease_until between bloud.clock() and bloud.clock() + bloud.longest_lease()) is not true
  returning * into v_lease;
  if not found then
    return null;
  elsif p_folder is not null then -- after the update, so that adopt() can't pair another folder meanwhile
    perform bloud.refuse(bloud.refusal_of_folder(p_folder, null, split_part(p_worker, ':', 1)));
  end if;
  update bloud.rebuilds
  set attempt = v_lease.attempt, worker = v_lease.worker, lease_until = v_lease.lease_until
  where state = 'active';
  return v_lease.attempt;
end
$$;
comment on function bloud.acquire_lease(text, integer, text, boolean, text) is
  'Acquires the lease (lock that makes one worker the active one) for p_seconds seconds, a minute at most. '
  'Returns the attempt number, or null while another worker holds the lease. p_folder is the id of the '
  'worker''s data folder. p_predecessor_ended takes the lease of an earlier worker of the same folder and '
  'machine that is not connected any more, because the caller knows that it has ended. p_gone takes the '
  'lease of this worker if it is not connected; the caller has seen the same some seconds before.';

create or replace function bloud.assert_attempt(p_attempt bigint, p_lock boolean default true) returns void
language plpgsql as $$
begin
  if p_lock then
    -- The shared lock keeps another worker from acquiring the lease before the end of this transaction.
    perform from bloud.lease where attempt = p_attempt for share;
  else
    perform from bloud.lease where attempt = p_attempt;
  end if;
  if not found then
    raise exception using errcode = 'BL016', message = format('Attempt %s is over', p_attempt),
      detail = 'Another worker has acquired the lease.', hint = 'Stop writing and acquire the lease again.';
  end if;
end
$$;
comment on function bloud.assert_attempt(bigint, boolean) is
  'Refuses (BL016) an attempt number that is not the current one of the lease, because the caller has lost '
  'the lease. Without p_lock it writes nothing to the disk, and another worker may acquire the lease before '
  'the transaction ends, so that nothing may be written yet.';

create or replace function bloud.renew_lease(p_attempt bigint, p_seconds integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_until timestamptz := bloud.clock() + least(make_interval(secs => p_seconds), bloud.longest_lease());
begin
  -- A renewal that a crash of the server loses only makes the lease end earlier, so it waits for no disk.
  perform set_config('synchronous_commit', 'off', true);
  update bloud.lease set lease_until = v_until where attempt = p_attempt;
  if not found then
    perform bloud.assert_attempt(p_attempt);
  end if;
  update bloud.rebuilds set lease_until = v_until where state = 'active' and attempt = p_attempt;
end
$$;
comment on function bloud.renew_lease(bigint, integer) is
  'Extends the lease until p_seconds seconds from now, a minute at most. Refused (BL016) if another worker '
  'has the lease.';

create or replace function bloud.release_lease(p_attempt bigint) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update bloud.lease set lease_until = null where attempt = p_attempt
$$;
comment on function bloud.release_lease(bigint) is
  'Releases the lease, so that another worker can acquire the lease at once.';
