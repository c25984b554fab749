-- Function prune(), which deletes old events and log lines. The column pruned_to of bloud.stream has the
-- number of the newest deleted event. A reader that had not yet read that event must read all apps again.
-- Errors raised: BL016 stale_attempt.

create or replace function bloud.prune(
  p_attempt bigint, p_older_than interval, p_keep_operations integer, p_batch integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_before timestamptz := bloud.clock() - p_older_than;
  v_kept bigint[];
  v_pruned_to bigint;
  v_events integer;
  v_lines integer;
begin
  perform bloud.assert_attempt(p_attempt);
  select array_agg(o.id) into v_kept from (
    select k.id, row_number() over (partition by k.app order by k.id desc) as nth from bloud.operations k) o
  where o.nth <= p_keep_operations;
  perform set_config('bloud.pruning', 'on', true);
  with expired as (
    select e.seq from bloud.events e
    where (e.at < v_before
        -- An event with a time in the future was written by a clock that was ahead. It is older than every
        -- event with a greater number.
        or (e.at > bloud.clock() and e.seq < (select max(n.seq) from bloud.events n where n.at < v_before)))
      and (e.operation_id = any (coalesce(v_kept, '{}'))) is not true
      -- check_invariants() compares the last event of each app with the row of the app, so that event is
      -- kept.
      and e.seq < (select max(l.seq) from bloud.events l where l.app = e.app)
    order by e.seq limit p_batch),
  deleted as (delete from bloud.events e using expired d where e.seq = d.seq returning e.seq)
  select count(*), max(seq) into v_events, v_pruned_to from deleted;
  perform set_config('bloud.pruning', 'off', true);
  update bloud.stream set pruned_to = greatest(pruned_to, v_pruned_to) where v_pruned_to is not null;
  with expired as (
    select l.rebuild_id, l.line_no from bloud.rebuild_log l join bloud.rebuilds r on r.id = l.rebuild_id
    where (r.finished_at < v_before or (r.finished_at > bloud.clock()
        and r.id < (select max(n.id) from bloud.rebuilds n where n.finished_at < v_before)))
      and not exists (
      select from bloud.operations o where o.rebuild_id = r.id and o.id = any (coalesce(v_kept, '{}')))
    limit p_batch),
  deleted as (
    delete from bloud.rebuild_log l using expired d
    where (l.rebuild_id, l.line_no) = (d.rebuild_id, d.line_no) returning 1)
  select count(*) into v_lines from deleted;
  return v_events + v_lines;
end
$$;
comment on function bloud.prune(bigint, interval, integer, integer) is
  'Deletes events and log lines older than p_older_than, except those of the last p_keep_operations '
  'operations of each app. One call deletes at most p_batch rows of each table, so that the transaction '
  'stays short. Returns the number of deleted rows.';
