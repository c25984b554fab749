-- Reading the event stream: events are the rows of bloud.events, written by trigger (triggers.sql).
--
--   transition commits → row with the next seq → read by stream_after() → old: pruned (retention.sql)
--
-- Nouns:
--   seq       number of an event, assigned under a lock at commit, so that numbers become visible in
--             ascending order. A reader that keeps the last seq and reads greater ones misses no event.
--   epoch     identity of this history; a restored backup gets a new epoch, and readers start over
--   head      epoch, last seq and oldest seq that can still be continued from
--   snapshot  all apps, together with the seq of that moment
--
-- Errors raised: none.

create or replace function bloud.stream_head(out epoch text, out seq bigint, out oldest bigint)
language sql stable as $$
  select s.epoch, greatest(s.pruned_to, coalesce((select max(e.seq) from bloud.events e), 0)), s.pruned_to
  from bloud.stream s
$$;
comment on function bloud.stream_head() is
  'Returns the epoch (identity of this history; a restored backup has another) and the seq of the last '
  'event. oldest: events up to that seq are pruned.';

create or replace function bloud.events_after(p_seq bigint, p_limit integer) returns setof bloud.events
language sql stable as $$
  select * from bloud.events e where e.seq > p_seq order by e.seq limit p_limit
$$;
comment on function bloud.events_after(bigint, integer) is
  'Returns at most p_limit events after p_seq, in order.';

create or replace function bloud.stream_after(p_seq bigint, p_limit integer)
returns table (epoch text, seq bigint, app text, event json)
language sql stable as $$
  select (select s.epoch from bloud.stream s), e.seq, e.app, row_to_json(t)
  from bloud.events e cross join lateral (
    select e.seq, e.app, e.from_status, e.to_status, e.at, e.operation_id, e.actor, e.origin, e.cause,
      e.app_id as id, e.app as name, e.display_name, e.version,
      coalesce(e.to_status, e.from_status) as status, e.port, e.is_system,
      e.integration_config, e.installed_at, e.updated_at) t
  where e.seq > p_seq order by e.seq limit p_limit
$$;
comment on function bloud.stream_after(bigint, integer) is
  'Returns at most p_limit events after p_seq as the stream sends them: the epoch, and each event as one '
  'line of JSON. The JSON includes the app after the transition; for a deleted app, status is its last one. '
  'Times are in the time zone of the session; the relay uses UTC.';

create or replace function bloud.snapshot() returns jsonb
language sql stable as $$
  select jsonb_build_object('epoch', h.epoch, 'seq', h.seq,
    'apps', coalesce((select jsonb_agg(to_jsonb(a) order by a.name) from bloud.app_status a), '[]'))
  from bloud.stream_head() h
$$;
comment on function bloud.snapshot() is
  'Returns all apps as in app_status and the seq they belong to, from one snapshot of the database.';

create or replace function bloud.new_epoch() returns text
language sql as $$
  update bloud.stream set epoch = left(replace(gen_random_uuid()::text, '-', ''), 12) returning epoch
$$;
comment on function bloud.new_epoch() is
  'Owner: gives this history a new epoch, so that every reader receives a reset. Called after a backup was '
  'restored.';

create or replace function bloud.operation_log(p_operation bigint, p_after bigint, p_limit integer)
returns table (line_no bigint, at timestamptz, line text)
language sql stable as $$
  select l.line_no, l.at, l.line
  from bloud.operations o join bloud.rebuild_log l on l.rebuild_id = o.rebuild_id
  where o.id = p_operation and l.line_no > p_after order by l.line_no limit p_limit
$$;
comment on function bloud.operation_log(bigint, bigint, integer) is
  'Returns at most p_limit lines after line p_after of the log of the rebuild that includes the operation.';
