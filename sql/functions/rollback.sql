-- Rollback: the host goes back to the generation before the one that is on, and the rows follow.
--
--   rollback() → one operation of kind rollback, and one for each app that it turns off (uninstall) or on (install):
--   they ride in one rebuild with nothing else in it, and succeed or fail together. What is asked for meanwhile waits.
--
-- Where to: each rebuild that succeeded says from which generation to which it led (generation_before, generation_after)
-- and which apps that one has (desired). The newest switch that led to what is on says what was on before; rebuilds
-- that were rollbacks themselves are not asked, so rolling back again goes one further back, never forth.
-- Errors: BL004 busy, BL021 nothing_to_roll_back.

create or replace function bloud.find_rollback(out generation_on text, out target text, out desired jsonb)
language plpgsql stable as $$
declare
  v_led bloud.rebuilds;
begin
  -- By their ends: the half of a rebuild that waits begins, but is not numbered, after the other.
  select r.generation_after into generation_on from bloud.rebuilds r
  where r.state = 'succeeded' order by r.finished_at desc, r.id desc limit 1;
  select * into v_led from bloud.rebuilds r
  where r.state = 'succeeded' and r.rolls_back_to is null and r.generation_after = generation_on
    and r.generation_before is distinct from r.generation_after order by r.finished_at desc, r.id desc limit 1;
  target := v_led.generation_before;
  select r.desired into desired from bloud.rebuilds r
  where r.state = 'succeeded' and r.generation_after = target order by r.finished_at desc, r.id desc limit 1;
  -- What the machine ran before the first of ours has none of our apps.
  if not found and not exists (select from bloud.rebuilds r
      where r.state = 'succeeded' and (r.finished_at, r.id) < (v_led.finished_at, v_led.id)) then
    desired := '{}';
  end if;
end
$$;
comment on function bloud.find_rollback() is
  'The generation that is on as far as we know, the one before it (null: there is none), and that one''s apps (null: not known).';

create or replace function bloud.refusal_of_rollback() returns bloud.refusal
language plpgsql stable as $$
declare
  v_open text;
  v_found record;
  v_gone text;
begin
  select string_agg(format('%s %s', o.kind, o.app), ', ' order by o.id) into v_open
  from bloud.operations o where o.state in ('queued', 'active') and o.kind <> 'refresh_catalog';
  if v_open is not null then
    return ('BL004', 'Other work is on its way', format('Under way: %s.', v_open), 'Wait for it, or cancel it, then roll back.')::bloud.refusal;
  end if;
  select * into v_found from bloud.find_rollback();
  if v_found.generation_on is null then
    return ('BL021', 'There is nothing to roll back to', 'Nothing was switched on by the agent yet.', 'Install something first.')::bloud.refusal;
  elsif v_found.target is null then
    return ('BL021', 'There is nothing to roll back to', format('Nothing is known of what was on before generation %s.', v_found.generation_on),
      'Uninstall what you don''t want.')::bloud.refusal;
  elsif v_found.desired is null then
    return ('BL021', 'There is nothing to roll back to',
      format('Generation %s, which was on before, was not made by the agent: it can''t tell which apps it has.', v_found.target),
      'Uninstall what you don''t want.')::bloud.refusal;
  end if;
  select string_agg(d.name, ', ' order by d.name) into v_gone from jsonb_object_keys(v_found.desired) as d (name)
  where not exists (select from bloud.catalog_cache c where c.name = d.name);
  if v_gone is not null then
    return ('BL021', 'There is nothing to roll back to', format('Generation %s has %s, which the catalog no longer has.', v_found.target, v_gone),
      'Put it back into the catalog, or uninstall what you don''t want.')::bloud.refusal;
  end if;
  return null;
end
$$;
comment on function bloud.refusal_of_rollback() is 'Why the host can''t be rolled back now, or null.';

create or replace function bloud.plan_rollback() returns jsonb
language plpgsql stable as $$
declare
  v_refusal bloud.refusal := bloud.refusal_of_rollback();
  v_found record;
begin
  select * into v_found from bloud.find_rollback();
  return jsonb_build_object('from', v_found.generation_on, 'to', v_found.target,
    'turns_off', (select coalesce(jsonb_agg(a.name order by a.name), '[]') from bloud.apps a
      where a.wanted and v_found.desired is not null and not v_found.desired ? a.name),
    'turns_on', (select coalesce(jsonb_agg(d.name order by d.name), '[]') from jsonb_object_keys(coalesce(v_found.desired, '{}')) as d (name)
      where not exists (select from bloud.apps a where a.name = d.name and a.wanted)),
    'blockers', case when v_refusal.sqlstate is null then '[]'::jsonb else jsonb_build_array(to_jsonb(v_refusal)) end);
end
$$;
comment on function bloud.plan_rollback() is
  'What rollback() would do, without doing it: from which generation to which, which apps it turns off and on, blockers (refusals).';

create or replace function bloud.hold_everything() returns void
language plpgsql as $$
declare
  v_limit text := current_setting('lock_timeout');
begin
  perform bloud.lock_apps('{}');
  begin
    perform set_config('lock_timeout', '3s', true);
    perform pg_advisory_xact_lock(45074, 0);
  exception when lock_not_available or deadlock_detected then
    perform bloud.refuse(('BL004', 'Other work is on its way', 'Somebody holds an app in an open transaction.',
      'Try again in a moment.')::bloud.refusal);
  end;
  perform set_config('lock_timeout', v_limit, true);
end
$$;
comment on function bloud.hold_everything() is
  'Holds all apps until the transaction ends: all other verbs wait. Refused (BL004) when somebody holds one for longer than 3 s.';

create or replace function bloud.rollback() returns bloud.operations
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_operation bloud.operations;
  v_found record;
  v_row bloud.apps;
  v_child bloud.operations;
  v_name text;
begin
  perform pg_advisory_xact_lock(45074, 1); -- one after the other, so that the second finds the first
  select * into v_operation from bloud.operations o where o.kind = 'rollback' and o.state in ('queued', 'active');
  if found then
    return v_operation;
  end if;
  perform bloud.refuse(bloud.refusal_of_rollback());
  perform bloud.hold_everything();
  perform bloud.refuse(bloud.refusal_of_rollback()); -- again, now that nobody else can ask for anything
  select * into v_found from bloud.find_rollback();
  insert into bloud.operations (kind, options, requested_by, origin, requested_at)
  values ('rollback', jsonb_build_object('from', v_found.generation_on, 'to', v_found.target), '', 'psql', bloud.clock())
  returning * into v_operation;
  perform bloud.lock_apps(array(select a.name from bloud.apps a where a.wanted union select jsonb_object_keys(v_found.desired)));
  for v_row in select * from bloud.apps a where a.wanted and not v_found.desired ? a.name order by a.name loop
    v_child := bloud.request_uninstall(v_row, false);
    update bloud.operations set requested_for = v_operation.id where id = v_child.id;
  end loop;
  for v_name in select d.name from jsonb_object_keys(v_found.desired) as d (name)
      where not exists (select from bloud.apps a where a.name = d.name and a.wanted) order by d.name loop
    perform bloud.request_install(v_name, '{}', v_found.desired #> array[v_name, 'integration_config'], v_operation.id);
    update bloud.apps a set version = d.version, port = d.port
    from jsonb_to_record(v_found.desired -> v_name) as d (version text, port integer) where a.name = v_name;
  end loop;
  return v_operation;
end
$$;
comment on function bloud.rollback() is
  'Goes back to the generation before the one that is on: apps that it does not have go off (their data is kept), apps that it has come on. See plan_rollback(). Returns the operation; asking again returns the one on its way.';

create or replace function bloud.rollback_of(p_operation bloud.operations) returns bigint
language sql stable as $$
  select r.id from bloud.operations r where r.id = p_operation.requested_for and r.kind = 'rollback' and r.state in ('queued', 'active')
$$;
comment on function bloud.rollback_of(bloud.operations) is 'The rollback on its way that the operation is a part of, or null.';

create or replace function bloud.apps_with(p_app text) returns text[]
language sql stable as $$
  select array(select p_app union select o.app from bloud.operations o
    where o.requested_for = bloud.rollback_of(bloud.open_operation(p_app)) and o.state in ('queued', 'active') order by 1)
$$;
comment on function bloud.apps_with(text) is 'The app, and with it all that are in the same rollback on its way: they are held and ended together.';

create or replace function bloud.withdraw_rollback(p_rollback bigint, p_state text, p_cause jsonb) returns void
language plpgsql as $$
declare
  v_child bloud.operations;
  v_row bloud.apps;
begin
  for v_child in select * from bloud.operations o where o.requested_for = p_rollback and o.state = 'queued' order by o.id loop
    select * into v_row from bloud.apps a where a.operation_id = v_child.id;
    perform bloud.withdraw_operation(v_row, v_child, p_cause);
    perform bloud.end_operation(v_child.id, p_state, p_cause);
  end loop;
  perform bloud.end_operation(p_rollback, p_state, p_cause);
end
$$;
comment on function bloud.withdraw_rollback(bigint, text, jsonb) is 'Ends a rollback that is still queued, with all that is a part of it.';

create or replace function bloud.claim_rollback(p_rollback bloud.operations, p_deadline_seconds integer) returns setof bloud.rebuilds
language plpgsql as $$
declare
  v_ids bigint[] := array(select o.id from bloud.operations o where o.requested_for = p_rollback.id and o.state = 'queued');
  v_rebuild bloud.rebuilds;
begin
  -- All or nothing: with one of its apps held by somebody it waits for the next round, and all others with it.
  if exists (select from bloud.operations o where o.id = any (v_ids) and not pg_try_advisory_xact_lock(45069, hashtext(o.app))) then
    return;
  end if;
  v_rebuild := bloud.start_rebuild(v_ids || p_rollback.id, p_deadline_seconds);
  update bloud.rebuilds r set rolls_back_to = p_rollback.options ->> 'to', generation_before = p_rollback.options ->> 'from',
    desired = (select f.desired from bloud.find_rollback() f)
  where r.id = v_rebuild.id returning * into v_rebuild;
  return next v_rebuild;
end
$$;
comment on function bloud.claim_rollback(bloud.operations, integer) is 'The rebuild of a rollback that was queued, with nothing else in it; no row while somebody holds one of its apps.';
