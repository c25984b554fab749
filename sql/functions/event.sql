-- Functions that read the event stream. Events are the rows of bloud.events: one for each change of an app's
-- status.
--
--   seq       number of an event. Numbers become visible in ascending order, so a reader that keeps the last
--             seq and reads greater numbers misses no event.
--   epoch     id of the history. A restored backup and a promoted standby get another id, so that all readers
--             start again.
--   snapshot  status of all apps, together with the seq of the newest event

create or replace function bloud.stream_head(out epoch text, out seq bigint, out oldest bigint)
language sql stable as $$
  select s.epoch, greatest(s.pruned_to, coalesce((select max(e.seq) from bloud.events e), 0)), s.pruned_to
  from bloud.stream s
$$;
comment on function bloud.stream_head() is
  'Returns the id of the event history (epoch), the number of the newest event (seq), and the number of the '
  'newest event that was pruned (oldest).';

create or replace function bloud.events_after(p_seq bigint, p_limit integer) returns setof bloud.events
language sql stable as $$
  select * from bloud.events e where e.seq > p_seq order by e.seq limit p_limit
$$;
comment on function bloud.events_after(bigint, integer) is
  'Returns at most p_limit events with numbers above p_seq, in ascending order.';

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
  'Returns at most p_limit events with numbers above p_seq, in ascending order. The column event is the JSON '
  'that the relay (HTTP server) sends to clients.';

-- json and not jsonb, which takes 30 ms longer for 500 apps.
create or replace function bloud.snapshot() returns json
language sql stable as $$
  select json_build_object('epoch', h.epoch, 'seq', h.seq,
    'apps', coalesce((select json_agg(row_to_json(a) order by a.name) from bloud.app_status a), '[]'))
  from bloud.stream_head() h
$$;
comment on function bloud.snapshot() is
  'Returns all rows of bloud.app_status as JSON, with the number of the newest event (seq) and the id of the '
  'event history (epoch) at that moment.';

create or replace function bloud.server_timeline() returns text
language sql volatile as $$
  select case when not pg_catalog.pg_is_in_recovery()
    then left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) end
$$;
comment on function bloud.server_timeline() is
  'Returns the timeline of the PostgreSQL server, as in the names of its WAL files. A promoted standby has '
  'another timeline than its primary. Returns null on a standby.';

create or replace function bloud.new_epoch() returns text
language sql as $$
  update bloud.stream set epoch = left(replace(gen_random_uuid()::text, '-', ''), 12),
    timeline = bloud.server_timeline()
  returning epoch
$$;
comment on function bloud.new_epoch() is
  'Gives the event history a new id, and returns the id. To be called after a backup was restored, so that '
  'clients read all apps again.';

create or replace function bloud.is_lost(p_epoch text, p_seq bigint, p_at timestamptz) returns boolean
language sql volatile as $$
  select coalesce(s.epoch = p_epoch and p_seq > s.pruned_to, false)
    and not exists (select from bloud.events e where e.seq = p_seq and e.at = p_at)
  from bloud.stream s
$$;
comment on function bloud.is_lost(text, bigint, timestamptz) is
  'Returns true if an event with this number and time was read from the present history (epoch), but is not '
  'in it any more. False for a pruned event.';

create or replace function bloud.check_history(
  p_epoch text, p_seq bigint, p_at timestamptz, out epoch text, out seq bigint, out oldest bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_timeline text := bloud.server_timeline();
  v_stream bloud.stream;
begin
  select * into v_stream from bloud.stream;
  -- A standby and a read-only server can't store a new epoch. The next check after a promotion does.
  if (v_timeline is distinct from v_stream.timeline or bloud.is_lost(p_epoch, p_seq, p_at))
     and v_timeline is not null and current_setting('transaction_read_only') = 'off' then
    select * into v_stream from bloud.stream for update; -- another relay may have done the same meanwhile
    if v_stream.timeline <> v_timeline or bloud.is_lost(p_epoch, p_seq, p_at) then
      perform bloud.new_epoch();
    else
      update bloud.stream set timeline = v_timeline where timeline is null;
    end if;
  end if;
  select h.epoch, h.seq, h.oldest into epoch, seq, oldest from bloud.stream_head() h;
end
$$;
comment on function bloud.check_history(text, bigint, timestamptz) is
  'Returns the same as stream_head(). Before, gives the history a new id (epoch) if the server was promoted, '
  'or if the newest event that the caller has read (number and time) is not in the history any more. Events '
  'with the same numbers may then be other ones.';
