-- Hindsight: what the history knows. Nothing here writes, except prune(), which forgets.

create or replace function bloud.usual_duration(p_app text, p_status text) returns jsonb
language sql stable as $$
  with samples as (
    select s.of, s.seconds from (values ('this app'), ('all apps')) as w (of)
    cross join lateral (
      select w.of, extract(epoch from e.lasted)::double precision as seconds from bloud.events e
      where e.from_status in ('queued', 'configuring', 'building', 'starting', 'stopping') -- so that events_by_move serves
        and e.from_status = p_status and e.to_status = case p_status when 'queued' then 'configuring'
          when 'configuring' then 'building' when 'building' then 'starting' when 'starting' then 'running'
          when 'stopping' then 'stopped' end
        and (w.of = 'all apps' or e.app = p_app)
      order by e.seq desc limit 50) s)
  select jsonb_build_object('p50_seconds', round(percentile_cont(0.5) within group (order by seconds)::numeric, 1),
    'p90_seconds', round(percentile_cont(0.9) within group (order by seconds)::numeric, 1),
    'samples', count(*), 'of', s.of)
  from samples s group by s.of having count(*) >= 5 order by s.of desc limit 1
$$;
comment on function bloud.usual_duration(text, text) is
  'How long a phase usually takes when it goes well: p50 and p90 in seconds of the last 50 times, of this app or else of all apps. Null below five samples: that would be a guess.';

create or replace function bloud.spent(p_app text, p_operation bigint) returns jsonb
language sql stable as $$
  -- 20: an install has five moves; what an app did later as running or error is not asked for.
  select coalesce(jsonb_object_agg(e.from_status, round(extract(epoch from e.lasted), 1)), '{}')
  from (select * from bloud.events l where l.app = p_app order by l.seq desc limit 20) e
  where e.operation_id = p_operation and e.from_status in ('queued', 'configuring', 'building', 'starting')
$$;
comment on function bloud.spent(text, bigint) is
  'What each finished step of an operation took: {status: seconds}. {} for a step that has not happened or is long ago.';

create or replace function bloud.status_at(app text, at timestamptz) returns text
language sql stable as $$
  select e.to_status from bloud.events e where e.app = status_at.app and e.at <= status_at.at order by e.seq desc limit 1
$$;
comment on function bloud.status_at(text, timestamptz) is
  'The status an app had at a time; null when it was not there, or when that is older than what is kept.';

create or replace function bloud.why(app text)
returns table (question text, answer text, since timestamptz, until timestamptz)
language plpgsql stable as $$
declare
  v_app bloud.app_status;
  v_lease bloud.lease;
  v_rebuild bloud.rebuilds;
  v_line bloud.rebuild_log;
begin
  perform bloud.check_name(why.app);
  select * into v_app from bloud.app_status s where s.name = why.app;
  if not found then
    perform bloud.refuse(bloud.refusal_of('uninstall', why.app));
  end if;
  select * into v_lease from bloud.lease;
  select r.* into v_rebuild from bloud.rebuilds r where r.state = 'active';
  return query select 'status', v_app.status || case when v_app.usual is null then '' else format(', usually %s to %s s (%s)',
    v_app.usual ->> 'p50_seconds', v_app.usual ->> 'p90_seconds', v_app.usual ->> 'of') end, v_app.status_since, v_app.deadline;
  if v_app.cause is not null then
    return query select 'cause', format('%s: %s', v_app.cause ->> 'class', v_app.cause ->> 'message'), v_app.status_since, null::timestamptz;
    return query select 'what to do', v_app.cause ->> 'hint', null::timestamptz, null::timestamptz where v_app.cause ? 'hint';
    return query select 'last lines', string_agg(l.line, e'\n' order by l.n), null::timestamptz, null::timestamptz
      from jsonb_array_elements_text(v_app.cause -> 'log') with ordinality as l (line, n) where v_app.cause ? 'log' having count(*) > 0;
  end if;
  if v_app.queue_position is not null then
    return query select 'waits for', format('its turn: %s of %s', v_app.queue_position, (select count(*) from bloud.queue)),
      o.requested_at, null::timestamptz from bloud.operations o where o.id = v_app.operation_id;
  end if;
  if v_app.operation_state in ('queued', 'active') and v_app.status <> 'starting' then
    return query select case when v_app.operation_state = 'queued' then 'ahead of it' else 'at work' end,
      format('rebuild %s, %s, by %s', v_rebuild.id, v_rebuild.phase, v_rebuild.worker), v_rebuild.started_at, v_rebuild.deadline
      where v_rebuild.id is not null;
    return query select 'nobody works', 'no orchestrator holds the lease: is it running?', v_lease.lease_until, null::timestamptz
      where v_lease.lease_until is null or v_lease.lease_until < bloud.clock();
  end if;
  if v_app.operation_state = 'active' and v_rebuild.id is not null then
    select * into v_line from bloud.rebuild_log l where l.rebuild_id = v_rebuild.id order by l.line_no desc limit 1;
    return query select 'last output', v_line.line, v_line.at, null::timestamptz where v_line.line is not null;
  end if;
  return query select 'cancelling', 'asked to stop; it ends when its work is really gone', v_app.cancel_requested_at, null::timestamptz
    where v_app.cancel_requested_at is not null and v_app.operation_state = 'active';
  return query select 'waits for', 'its health check to pass', v_app.status_since, v_app.deadline where v_app.status = 'starting';
  return query select 'needs', format('%s, which is %s', d.name, coalesce(a.status, 'not installed')), a.status_since, null::timestamptz
    from jsonb_each(v_app.integration_config) s cross join lateral jsonb_array_elements_text(s.value) as d (name)
    left join bloud.apps a on a.name = d.name where a.status is distinct from 'running';
end
$$;
comment on function bloud.why(text) is
  'Why an app is as it is and what it waits for: cause, place in the queue, who holds the rebuild and since when, missing dependencies, deadlines.';

create or replace function bloud.check_invariants() returns table (invariant text, app text, detail text)
language sql stable as $$
  with last as (select distinct on (e.app) e.app, e.to_status from bloud.events e order by e.app, e.seq desc),
  chain as (select e.app, e.seq, e.from_status, e.to_status, lag(e.to_status) over w as before, lag(e.seq) over w as before_seq
            from bloud.events e window w as (partition by e.app order by e.seq))
  select 'status equals the last event', coalesce(a.name, l.app), format('row: %s, event: %s', a.status, l.to_status)
  from bloud.apps a full join last l on l.app = a.name where a.status is distinct from l.to_status
  union all
  select 'every move is legal', c.app, format('event %s: %s to %s', c.seq, c.from_status, c.to_status) from chain c
  where not exists (select from bloud.status_transitions t
    where t.from_status is not distinct from c.from_status and t.to_status is not distinct from c.to_status)
  union all
  select 'each event begins where the last ended', c.app, format('event %s begins at %s, not at %s', c.seq, c.from_status, c.before)
  from chain c cross join bloud.stream s
  where c.from_status is distinct from c.before and coalesce(c.before_seq, 0) >= s.pruned_to
    and (c.before_seq is not null or c.seq > s.pruned_to) and not (c.before_seq is null and s.pruned_to > 0)
  union all
  select 'no event is numbered past the counter', e.app, e.seq::text from bloud.events e, bloud.events_seq q where e.seq > q.last_value
  union all
  select 'at most one rebuild is active', null, string_agg(r.id::text, ', ') from bloud.rebuilds r where r.state = 'active' having count(*) > 1
  union all
  select 'an active rebuild belongs to the lease', null, format('rebuild %s has attempt %s, the lease %s', r.id, r.attempt, l.attempt)
  from bloud.rebuilds r cross join bloud.lease l where r.state = 'active' and (r.attempt, r.worker) is distinct from (l.attempt, l.worker)
  union all
  select 'an active rebuild carries operations', null, format('rebuild %s', r.id) from bloud.rebuilds r
  where r.state = 'active' and not exists (select from bloud.operations o where o.rebuild_id = r.id and o.state = 'active')
  union all
  select 'what is at work rides in a rebuild at work or waiting, or is starting', o.app, format('operation %s', o.id)
  from bloud.operations o join bloud.rebuilds r on r.id = o.rebuild_id left join bloud.apps a on a.operation_id = o.id
  where o.state = 'active' and r.state not in ('active', 'waiting') and a.status is distinct from 'starting'
  union all
  select 'an open operation is its app''s current one', o.app, format('operation %s', o.id) from bloud.operations o
  where o.state in ('queued', 'active') and o.app is not null and not exists (select from bloud.apps a where a.operation_id = o.id)
  union all
  select 'status and operation agree', a.name, format('%s with a %s that is %s', a.status, o.kind, o.state)
  from bloud.apps a left join bloud.operations o on o.id = a.operation_id
  where (a.status = 'queued' and (o.kind, o.state) is distinct from ('install', 'queued'))
     or (a.status in ('configuring', 'building', 'starting') and (o.kind, o.state) is distinct from ('install', 'active'))
     or (a.status = 'stopping' and (o.kind is distinct from 'uninstall' or o.state not in ('queued', 'active')))
     or (a.status in ('running', 'error', 'failed') and o.state in ('queued', 'active'))
     or (a.status = 'stopped' and o.state in ('queued', 'active') and not o.purge)
  union all
  select 'wanted is what is on or on its way', a.name, format('%s, wanted: %s', a.status, a.wanted) from bloud.apps a
  where (a.status in ('configuring', 'building', 'starting', 'running', 'error') and not a.wanted)
     or (a.status in ('failed', 'stopping', 'stopped') and a.wanted)
  union all
  select 'a failure has a cause', a.name, a.status from bloud.apps a where a.status in ('failed', 'error') and a.cause is null
  union all
  select 'what is waited for has a deadline', a.name, a.status from bloud.apps a
  where a.status in ('queued', 'configuring', 'building', 'starting', 'stopping') and a.deadline is null
$$;
comment on function bloud.check_invariants() is
  'What must always hold, as rows where it does not. Empty is good. Run by the orchestrator at its start and exported by the relay as a metric.';

create or replace function bloud.prune(p_attempt bigint, p_older_than interval, p_keep_operations integer, p_batch integer) returns integer
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
  with doomed as (
    select e.seq from bloud.events e
    where e.at < v_before and (e.operation_id = any (coalesce(v_kept, '{}'))) is not true
      -- the last event of an app says what it is now
      and e.seq < (select max(l.seq) from bloud.events l where l.app = e.app)
    order by e.seq limit p_batch),
  gone as (delete from bloud.events e using doomed d where e.seq = d.seq returning e.seq)
  select count(*), max(seq) into v_events, v_pruned_to from gone;
  perform set_config('bloud.pruning', 'off', true);
  update bloud.stream set pruned_to = greatest(pruned_to, v_pruned_to) where v_pruned_to is not null;
  with doomed as (
    select l.rebuild_id, l.line_no from bloud.rebuild_log l join bloud.rebuilds r on r.id = l.rebuild_id
    where r.finished_at < v_before
      and not exists (select from bloud.operations o where o.rebuild_id = r.id and o.id = any (coalesce(v_kept, '{}')))
    limit p_batch),
  gone as (delete from bloud.rebuild_log l using doomed d where (l.rebuild_id, l.line_no) = (d.rebuild_id, d.line_no) returning 1)
  select count(*) into v_lines from gone;
  return v_events + v_lines;
end
$$;
comment on function bloud.prune(bigint, interval, integer, integer) is
  'Orchestrator: forgets events and log lines older than p_older_than, at most p_batch of each, but keeps those of the last p_keep_operations operations of each app and every app''s last event. Returns how many; call again until 0. A reader that resumes before what was pruned is told reset.';

create or replace function bloud.new_epoch() returns text
language sql as $$
  update bloud.stream set epoch = left(replace(gen_random_uuid()::text, '-', ''), 12) returning epoch
$$;
comment on function bloud.new_epoch() is
  'Owner: gives this history a new identity, so that every reader is told reset. Called after a backup was restored.';
