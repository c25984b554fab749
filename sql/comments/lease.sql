-- Comments on the table of the lease. psql prints them with \d+.

comment on trigger notify_lease on bloud.lease is
  'Notifies the channel bloud_work when a worker takes or releases the lease.';
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
comment on column bloud.lease.folder_id is
  'Id of the data folder of the worker, from its file pairing.json.';

comment on table bloud.workers is
  'Last report of each worker (orchestrator process). Reports older than a minute are deleted.';
comment on column bloud.workers.worker is 'Name of the worker, as in the column worker of bloud.lease.';
comment on column bloud.workers.reported_at is 'Time of the report by the clock of the database.';
comment on column bloud.workers.clock_ahead is
  'Difference between the clock of the worker and the clock of the database. Negative if the worker is '
  'behind.';
comment on column bloud.workers.problems is
  'Reasons why the worker can''t do its work, as in bloud.readiness(): [{cause, sentence, hint}].';
