-- Functions that delete old history: events, log lines, operations and rebuilds. The column pruned_to of
-- bloud.stream has the number of the newest deleted event. A reader that had not yet read that event must
-- read all apps again.
--
--   always kept, whatever their age
--     the newest event of each app, because check_invariants() compares it with the row of the app
--     the last p_keep operations of each app, their events and log lines; of the changes between running and
--       error, of which an app can have thousands in one operation, only those within the age
--     open operations and rebuilds, and the rebuilds that 50 rollbacks in a row would need
--
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.kept_operations(p_keep integer) returns bigint[]
language sql stable as $$
  -- Reads the index entries of the kept operations instead of all operations.
  with recursive names as (
    select min(o.app) as app from bloud.operations o
    union all
    select (select min(o.app) from bloud.operations o where o.app > n.app) from names n
    where n.app is not null),
  kept as (
    select k.id from names n cross join lateral (
      select o.id from bloud.operations o where o.app = n.app order by o.id desc limit p_keep) k
    union all
    (select o.id from bloud.operations o where o.app is null order by o.id desc limit p_keep))
  select coalesce(array_agg(id), '{}') from kept
$$;
comment on function bloud.kept_operations(integer) is
  'Returns the ids of the last p_keep operations of each app, and of those without an app.';

create or replace function bloud.prune_events(p_before timestamptz, p_kept bigint[], p_batch integer,
  p_after bigint, out pruned integer, out next_seq bigint)
language plpgsql as $$
declare
  v_pruned_to bigint;
  v_newest bigint[] := array(select l.seq from bloud.last_events() l);
begin
  perform set_config('bloud.pruning', 'on', true);
  with seen as (
    select e.seq, e.operation_id, e.from_status, e.to_status, e.at > bloud.clock() as is_ahead,
      e.at < p_before
        -- An event with a time in the future was written by a clock that was ahead. It is older than the
        -- events after it.
        or (e.at > bloud.clock() and min(e.at) over (order by e.seq rows between current row and unbounded
          following) < p_before) as is_expired
    from (select * from bloud.events w where w.seq > p_after order by w.seq limit p_batch) e),
  deleted as (
    delete from bloud.events e using seen s
    where e.seq = s.seq and s.is_expired and s.seq <> all (v_newest)
      and ((s.operation_id = any (p_kept)) is not true
        or (s.from_status in ('running', 'error') and s.to_status in ('running', 'error')))
    returning e.seq)
  select (select count(*) from deleted), (select max(d.seq) from deleted d),
    -- Events are ordered by time, so nothing expired comes after a whole batch that is not.
    case when count(*) = p_batch and bool_or(s.is_expired or s.is_ahead) then max(s.seq) end
  into pruned, v_pruned_to, next_seq from seen s;
  perform set_config('bloud.pruning', 'off', true);
  update bloud.stream set pruned_to = greatest(pruned_to, v_pruned_to) where v_pruned_to is not null;
end
$$;
comment on function bloud.prune_events(timestamptz, bigint[], integer, bigint) is
  'Deletes the expired ones of the p_batch events after p_after. Returns how many, and after which event to '
  'continue; null at the end.';

create or replace function bloud.prune_lines(p_before timestamptz, p_kept bigint[], p_batch integer)
returns integer
language plpgsql as $$
declare
  v_pruned integer;
begin
  with expired as (
    select l.rebuild_id, l.line_no
    from bloud.rebuilds r cross join lateral (
      select g.rebuild_id, g.line_no from bloud.rebuild_log g where g.rebuild_id = r.id limit p_batch) l
    where (r.finished_at < p_before or (r.finished_at > bloud.clock()
        and r.id < (select max(n.id) from bloud.rebuilds n where n.finished_at < p_before)))
      and not exists (
        select from bloud.operations o where o.rebuild_id = r.id and o.id = any (p_kept))
    limit p_batch)
  delete from bloud.rebuild_log l using expired d where (l.rebuild_id, l.line_no) = (d.rebuild_id, d.line_no);
  get diagnostics v_pruned = row_count;
  return v_pruned;
end
$$;
comment on function bloud.prune_lines(timestamptz, bigint[], integer) is
  'Deletes at most p_batch expired log lines, and returns their number.';

create or replace function bloud.rollback_rebuilds(p_limit integer) returns setof bigint
language sql stable as $$
  -- Follows find_rollback() as if each rollback were followed by another one.
  with recursive chain as (
    (select 1 as step, r.id, null::bigint as switch, r.generation_after as generation
      from bloud.rebuilds r where r.state = 'succeeded' order by r.finished_at desc, r.id desc limit 1)
    union all
    select c.step + 1, d.id, s.id, s.generation_before
    from chain c
    cross join lateral (
      select r.id, r.generation_before from bloud.rebuilds r
      where r.state = 'succeeded' and r.rolls_back_to is null and r.generation_after = c.generation
        and r.generation_before is distinct from r.generation_after
      order by r.finished_at desc, r.id desc limit 1) s
    left join lateral (
      select r.id from bloud.rebuilds r
      where r.state = 'succeeded' and r.generation_after = s.generation_before
      order by r.finished_at desc, r.id desc limit 1) d on true
    where c.step <= p_limit)
  select n.id from chain c cross join lateral unnest(array[c.id, c.switch]) as n (id)
  where n.id is not null
$$;
comment on function bloud.rollback_rebuilds(integer) is
  'Returns the rebuilds that up to p_limit rollbacks in a row would read: for each, the rebuild that '
  'activated the present generation, and the one that made the generation before it.';

create or replace function bloud.prune_operations(p_before timestamptz, p_kept bigint[], p_batch integer)
returns integer
language plpgsql as $$
declare
  v_operations integer;
  v_rebuilds integer;
  v_first bigint;
begin
  with expired as (
    select o.id from bloud.operations o
    where o.finished_at < p_before and not o.id = any (p_kept)
      and not exists (select from bloud.apps a where a.operation_id = o.id)
      and not exists (select from bloud.operations c where c.requested_for = o.id)
    order by o.id limit p_batch)
  delete from bloud.operations o using expired d where o.id = d.id;
  get diagnostics v_operations = row_count;
  select r.id into v_first from bloud.rebuilds r
  where r.state = 'succeeded' order by r.finished_at, r.id limit 1;
  with expired as (
    select r.id from bloud.rebuilds r
    where r.finished_at < p_before and r.id not in (select n from bloud.rollback_rebuilds(50) n)
      and not exists (select from bloud.operations o where o.rebuild_id = r.id)
      and not exists (select from bloud.rebuilds f where f.follows = r.id)
      and not exists (select from bloud.rebuild_log l where l.rebuild_id = r.id)
    order by r.id limit p_batch)
  delete from bloud.rebuilds r using expired d where r.id = d.id;
  get diagnostics v_rebuilds = row_count;
  -- Before the first rebuild that succeeded the machine had no app, which find_rollback() must not conclude
  -- from a later one.
  update bloud.stream set rebuilds_pruned = true
  where not rebuilds_pruned and v_first is not null
    and not exists (select from bloud.rebuilds r where r.id = v_first);
  return v_operations + v_rebuilds;
end
$$;
comment on function bloud.prune_operations(timestamptz, bigint[], integer) is
  'Deletes at most p_batch expired operations and as many expired rebuilds, to which nothing refers any '
  'more, and returns their number.';

create or replace function bloud.prune(p_attempt bigint, p_older_than interval, p_keep_operations integer,
  p_batch integer, p_after bigint default 0, out pruned integer, out next_seq bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_before timestamptz := bloud.clock() - p_older_than;
  v_kept bigint[];
begin
  perform bloud.assert_attempt(p_attempt);
  v_kept := bloud.kept_operations(p_keep_operations);
  select e.pruned, e.next_seq into pruned, next_seq
  from bloud.prune_events(v_before, v_kept, p_batch, p_after) e;
  pruned := pruned + bloud.prune_lines(v_before, v_kept, p_batch)
    + bloud.prune_operations(v_before, v_kept, p_batch);
end
$$;
comment on function bloud.prune(bigint, interval, integer, integer, bigint) is
  'Deletes history older than p_older_than, except that of the last p_keep_operations operations of each '
  'app. One call reads p_batch events after p_after and deletes at most p_batch rows of each table, so that '
  'the transaction stays short. Returns the number of deleted rows, and after which event the next call '
  'continues. Nothing is left to prune when a call returns 0 and null.';
