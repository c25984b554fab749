-- What guards the tables, writes history and rings the bells. The only pg_notify of the system is here.
--
--   a move of an app:  guard_app (BEFORE, refuses what is not in status_transitions; BL003)
--                      append_event (deferred to the commit: lock, one row in events, one bell)
--   bells, all without payload:  bloud       an event was appended
--                                bloud_work  an operation changed: the orchestrator should look
--                                bloud_apps  an app's name changed, or what is wanted of the request on its way for it
--                                bloud_log   lines were appended to a rebuild's log

-- Both run for every move, the second while all other commits wait: they ask for the clock and the origin by function
-- only where one is set. (Two callers with different search paths make PostgreSQL plan a shared function anew each time.)

create or replace function bloud.guard_app() returns trigger
language plpgsql as $$
declare
  v_legal text;
begin
  perform from bloud.status_transitions t
  where t.from_status is not distinct from old.status and t.to_status is not distinct from new.status;
  if not found or (tg_op = 'DELETE' and old.status = 'queued' and old.configured_at is not null) then
    select string_agg(coalesce(t.to_status, '(removed)'), ', ' order by t.to_status) into v_legal
    from bloud.status_transitions t where t.from_status is not distinct from old.status;
    raise exception using errcode = 'BL003',
      message = format('%s can''t go from %s to %s', coalesce(new.name, old.name),
        coalesce(old.status, '(not there)'), coalesce(new.status, '(removed)')),
      detail = 'Every legal move is a row of bloud.status_transitions.',
      hint = format('Legal from here: %s.', coalesce(v_legal, 'nothing'));
  end if;
  if tg_op = 'DELETE' then
    insert into bloud.removals (app_id, actor, origin) values (old.id, bloud.session_actor(), bloud.session_origin());
    return old;
  end if;
  new.status_since := case when pg_catalog.current_setting('bloud.clock', true) <> '' then bloud.clock()
    else pg_catalog.clock_timestamp() end;
  new.updated_at := new.status_since;
  -- Now, not at the commit: until then the session may have become somebody else.
  new.moved_by := coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user);
  new.moved_from := case when new.moved_by = 'bloud_orchestrator' or pg_catalog.current_setting('bloud.origin', true) <> ''
    then bloud.session_origin() else 'psql' end;
  if new.status = 'configuring' and new.configured_at is null then
    new.configured_at := new.status_since;
  end if;
  return new;
end
$$;
comment on function bloud.guard_app() is 'Refuses (BL003) every move that is not a row of status_transitions; stamps status_since.';

create or replace trigger guard_app_start before insert on bloud.apps
  for each row execute function bloud.guard_app();
create or replace trigger guard_app_move before update of status on bloud.apps
  for each row execute function bloud.guard_app();
create or replace trigger guard_app_end before delete on bloud.apps
  for each row execute function bloud.guard_app();

create or replace function bloud.append_event() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_done boolean;
  v_at timestamptz;
begin
  if tg_op = 'DELETE' then
    new := old; -- as it was, and who moves it to nowhere
    new.status := null;
    new.cause := null;
    delete from bloud.removals r where r.app_id = old.id returning r.actor, r.origin into new.moved_by, new.moved_from;
  end if;
  -- The lock before the number: numbers become visible in their order. It is the last lock of the transaction, as
  -- this trigger is deferred, so it can't be part of a deadlock. All commits wait for each other from here on. (Written
  -- as expressions, since a `perform` would start the executor for each.)
  v_done := pg_notify('bloud', '') is null;
  v_done := pg_advisory_xact_lock(45070, 0) is null;
  v_at := case when current_setting('bloud.clock', true) <> '' then bloud.clock() else clock_timestamp() end;
  insert into bloud.events (seq, at, app, from_status, to_status, operation_id, actor, origin, cause, lasted,
    app_id, display_name, version, port, is_system, integration_config, installed_at, updated_at)
  values (nextval('bloud.events_seq'), v_at, new.name, old.status, new.status, new.operation_id, new.moved_by, new.moved_from,
    new.cause, v_at - old.status_since,
    new.id, new.display_name, new.version, new.port, new.is_system, new.integration_config, new.installed_at, new.updated_at);
  return null;
end
$$;
comment on function bloud.append_event() is 'Appends the move to bloud.events in commit order and rings the bell bloud.';

drop trigger if exists append_event on bloud.apps;
create constraint trigger append_event after insert or update of status or delete on bloud.apps
  deferrable initially deferred for each row execute function bloud.append_event();

create or replace function bloud.guard_identity() returns trigger
language plpgsql as $$
begin
  raise exception using errcode = 'BL018', message = 'The name and id of an app never change',
    detail = 'History refers to them.', hint = 'Change display_name instead.';
end
$$;
comment on function bloud.guard_identity() is 'Refuses (BL018) a change of an app''s name or id.';
create or replace trigger guard_app_identity before update of name, id on bloud.apps
  for each row when (old.name is distinct from new.name or old.id is distinct from new.id)
  execute function bloud.guard_identity();

create or replace function bloud.guard_append_only() returns trigger
language plpgsql as $$
begin
  raise exception using errcode = 'BL018', message = format('%s of bloud.%s is refused', tg_op, tg_table_name),
    detail = 'This is history, or is kept in step with it: it is only appended to.',
    hint = 'Move apps with the verbs: install, uninstall, retry, cancel.';
end
$$;
comment on function bloud.guard_append_only() is 'Refuses (BL018) to rewrite history.';
-- prune() may delete what is old, and nothing else may.
create or replace trigger history_stays before update or delete on bloud.events
  for each row when (pg_catalog.current_setting('bloud.pruning', true) is distinct from 'on')
  execute function bloud.guard_append_only();
create or replace trigger history_is_not_emptied before truncate on bloud.events
  for each statement execute function bloud.guard_append_only();
create or replace trigger apps_are_not_emptied before truncate on bloud.apps
  for each statement execute function bloud.guard_append_only();

create or replace function bloud.stamp_operation() returns trigger
language plpgsql as $$
begin
  new.requested_by := bloud.session_actor();
  new.origin := bloud.session_origin();
  new.requested_at := bloud.clock();
  return new;
end
$$;
comment on function bloud.stamp_operation() is 'Records who asked, from where and when, from the session.';
create or replace trigger stamp_operation before insert on bloud.operations
  for each row execute function bloud.stamp_operation();

create or replace function bloud.ring() returns trigger
language plpgsql as $$
begin
  perform pg_catalog.pg_notify(tg_argv[0], '');
  return null;
end
$$;
comment on function bloud.ring() is 'Rings the bell named by the trigger''s argument.';
create or replace trigger ring_work after insert or update on bloud.operations
  for each statement execute function bloud.ring('bloud_work');
create or replace trigger ring_log after insert on bloud.rebuild_log
  for each statement execute function bloud.ring('bloud_log');
-- What people see of an app without its status moving.
create or replace trigger ring_rename after update of display_name on bloud.apps
  for each statement execute function bloud.ring('bloud_apps');
create or replace trigger ring_request after update of cancel_requested_at, purge, warnings on bloud.operations
  for each statement execute function bloud.ring('bloud_apps');
-- Another epoch is another history: who listens should look where it stands.
create or replace trigger ring_epoch after update of epoch on bloud.stream
  for each statement execute function bloud.ring('bloud');
