-- Comments on the table of the lease. psql prints them with \d+.

comment on table bloud.lease is
  'Lease: a lock with a time limit that lets only one worker (orchestrator process) change the machine.';
comment on column bloud.lease.singleton is
  'Primary key that is always true, so that the table has at most one row.';
comment on column bloud.lease.attempt is
  'Number of times that a worker has acquired the lease. Writes with an older attempt number are refused.';
comment on column bloud.lease.worker is
  'Name of the worker (orchestrator process) that holds or last held the lease.';
comment on column bloud.lease.lease_until is
  'Time at which the lease expires. Null after the worker has released the lease.';
