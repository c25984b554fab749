-- Who works. One worker at a time holds the lease, and with it the attempt number:
--
--   acquire_lease → renew_lease … → release_lease, or nothing more is heard and the next one takes it
--
-- Every write of the orchestrator carries that number; one that is not the current one is refused (BL016), so a worker
-- that was believed dead can't write after its successor.

create or replace function bloud.acquire_lease(p_worker text, p_seconds integer) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_lease bloud.lease;
begin
  update bloud.lease set attempt = attempt + 1, worker = p_worker, lease_until = bloud.clock() + make_interval(secs => p_seconds)
  where lease_until is null or lease_until < bloud.clock() or worker = p_worker
  returning * into v_lease;
  if not found then
    return null;
  end if;
  update bloud.rebuilds set attempt = v_lease.attempt, worker = v_lease.worker, lease_until = v_lease.lease_until where state = 'active';
  return v_lease.attempt;
end
$$;
comment on function bloud.acquire_lease(text, integer) is
  'Orchestrator: takes the lease for p_seconds seconds. Returns the attempt number, or null while another worker holds it.';

create or replace function bloud.assert_attempt(p_attempt bigint) returns void
language plpgsql as $$
begin
  -- for share: nobody takes the lease over while this transaction writes.
  perform from bloud.lease where attempt = p_attempt for share;
  if not found then
    raise exception using errcode = 'BL016', message = format('Attempt %s is over', p_attempt),
      detail = 'Another worker has taken the lease.', hint = 'Stop writing and acquire the lease again.';
  end if;
end
$$;
comment on function bloud.assert_attempt(bigint) is 'Refuses (BL016) every attempt number but the current one.';

create or replace function bloud.renew_lease(p_attempt bigint, p_seconds integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_until timestamptz := bloud.clock() + make_interval(secs => p_seconds);
begin
  update bloud.lease set lease_until = v_until where attempt = p_attempt;
  if not found then
    perform bloud.assert_attempt(p_attempt);
  end if;
  update bloud.rebuilds set lease_until = v_until where state = 'active' and attempt = p_attempt;
end
$$;
comment on function bloud.renew_lease(bigint, integer) is 'Orchestrator: keeps the lease for another p_seconds seconds. Refused (BL016) once it is lost.';

create or replace function bloud.release_lease(p_attempt bigint) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update bloud.lease set lease_until = null where attempt = p_attempt
$$;
comment on function bloud.release_lease(bigint) is 'Orchestrator: gives the lease back, so that the next worker need not wait for its end.';
