-- Keeps an old installation fast: the result of the last check of the invariants, and indexes for pruning
-- operations and rebuilds.

create table bloud.invariant_check (
  singleton boolean primary key default true,
  checked_at timestamptz,
  whole_at timestamptz,
  checked_to bigint not null default 0,
  violations jsonb not null default '[]',
  constraint invariant_check_has_one_row check (singleton),
  constraint violations_are_a_list check (jsonb_typeof(violations) = 'array')
);
insert into bloud.invariant_check default values;

-- A delete of an operation or a rebuild looks for rows that refer to it.
create index operations_by_request on bloud.operations (requested_for) where requested_for is not null;
create index rebuilds_by_predecessor on bloud.rebuilds (follows) where follows is not null;
-- has_work() reads the open rebuilds, of which there are few.
create index rebuilds_open on bloud.rebuilds (id) where state in ('active', 'waiting');
-- find_rollback() reads the last rebuilds that have succeeded.
create index rebuilds_by_end on bloud.rebuilds (finished_at, id) where state = 'succeeded';

-- refusal_of_install() looks for another app with the same port.
create index apps_by_port on bloud.apps (port);

alter table bloud.stream add column rebuilds_pruned boolean not null default false;

-- Returns json instead of jsonb.
drop function if exists bloud.snapshot();
