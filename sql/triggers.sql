-- Triggers that check every change of an app's status, write the history and send all notifications. No other
-- file calls pg_notify.
--
-- guard_app() checks the change. At the commit, append_event() records the change as a row of bloud.events. A
-- notification has no content, so the receiver reads the tables:
--
--   bloud       an event was appended, or the history got a new id (epoch)
--   bloud_work  an operation was inserted or changed, or the lease was taken or released
--   bloud_apps  a display name changed, or the cancel request, purge or warnings of an operation
--   bloud_log   lines were appended to the log of a rebuild
--
-- Errors raised: BL003 illegal_transition, BL018 append_only.

-- guard_app() and append_event() call clock() and session_origin() only if a setting or the role can change
-- the result, because the calls are slow, and all other commits wait while append_event() runs.

create or replace function bloud.guard_app() returns trigger
language plpgsql as $$
declare
  v_legal text;
begin
  perform from bloud.status_transitions t
  where t.from_status is not distinct from old.status and t.to_status is not distinct from new.status;
  if not found or (tg_op = 'DELETE' and old.status = 'queued' and old.configured_at is not null) then
    select string_agg(coalesce(t.to_status, '(deleted)'), ', ' order by t.to_status) into v_legal
    from bloud.status_transitions t where t.from_status is not distinct from old.status;
    raise exception using errcode = 'BL003',
      message = format('%s can''t go from %s to %s', coalesce(new.name, old.name),
        coalesce(old.status, '(no row)'), coalesce(new.status, '(deleted)')),
      detail = 'Every legal transition is a row of bloud.status_transitions.',
      hint = format('Legal from here: %s.', coalesce(v_legal, 'nothing'));
  end if;
  if tg_op = 'DELETE' then
    insert into bloud.deletions (app_id, actor, origin)
    values (old.id, bloud.session_actor(), bloud.session_origin());
    return old;
  end if;
  new.status_since := case when new.status is not distinct from old.status then old.status_since
    when pg_catalog.current_setting('bloud.clock', true) <> '' then bloud.clock()
    else pg_catalog.clock_timestamp() end;
  if new.status is distinct from old.status then -- a restart keeps both times
    new.updated_at := new.status_since;
  end if;
  -- The session may have another role at the commit, so the role is recorded now.
  new.status_actor := case when pg_catalog.current_setting('role') = 'none' then session_user
    else bloud.session_actor() end;
  new.status_origin := case
    when new.status_actor = 'bloud_orchestrator' or pg_catalog.current_setting('bloud.origin', true) <> ''
    then bloud.session_origin() else 'psql' end;
  if new.status = 'configuring' and new.configured_at is null then
    new.configured_at := new.status_since;
  end if;
  return new;
end
$$;
comment on function bloud.guard_app() is
  'Refuses (BL003) a change of the status that bloud.status_transitions does not list. Records the time, '
  'role and origin of the change in the row of the app.';

create or replace trigger guard_app_insert before insert on bloud.apps
  for each row execute function bloud.guard_app();
create or replace trigger guard_app_update before update of status on bloud.apps
  for each row execute function bloud.guard_app();
create or replace trigger guard_app_delete before delete on bloud.apps
  for each row execute function bloud.guard_app();

create or replace function bloud.append_event() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_done boolean;
  v_at timestamptz;
begin
  if tg_op = 'DELETE' then
    new := old; -- the event of a deletion has the values of the deleted row
    new.status := null;
    new.cause := null;
    delete from bloud.deletions d where d.app_id = old.id
    returning d.actor, d.origin into new.status_actor, new.status_origin;
  end if;
  -- The lock is taken before the event number, so that event numbers become visible in ascending order. The
  -- lock can't cause a deadlock, because no other lock is taken after this one. The call of pg_notify is an
  -- assignment, because `perform` is slower.
  v_done := pg_notify('bloud', '') is null;
  lock table bloud.lock_events in share update exclusive mode;
  v_at := case when current_setting('bloud.clock', true) <> '' then bloud.clock() else clock_timestamp() end;
  insert into bloud.events (seq, at, app, from_status, to_status, operation_id, actor, origin, cause, lasted,
    app_id, display_name, version, port, is_system, integration_config, installed_at, updated_at)
  values (nextval('bloud.events_seq'), v_at, new.name, old.status, new.status, new.operation_id,
    new.status_actor, new.status_origin, new.cause, greatest(v_at - old.status_since, '0'),
    new.id, new.display_name, new.version, new.port, new.is_system, new.integration_config, new.installed_at,
    new.updated_at);
  return null;
end
$$;
comment on function bloud.append_event() is
  'Records a change of an app''s status as a row of bloud.events, and notifies the channel bloud.';

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
comment on function bloud.guard_identity() is 'Refuses (BL018) a change of the name or id of an app.';
create or replace trigger guard_app_identity before update of name, id on bloud.apps
  for each row when (old.name is distinct from new.name or old.id is distinct from new.id)
  execute function bloud.guard_identity();

create or replace function bloud.guard_append_only() returns trigger
language plpgsql as $$
begin
  raise exception using errcode = 'BL018',
    message = format('%s of bloud.%s is refused', tg_op, tg_table_name),
    detail = 'The table is history, or history is derived from it: rows are only appended.',
    hint = 'Change the status of apps with the verbs: install, uninstall, retry, cancel.';
end
$$;
comment on function bloud.guard_append_only() is
  'Refuses (BL018) a statement that would change or empty the history of the apps.';
-- Only prune() turns on the setting bloud.pruning. Without the setting, no event can be deleted.
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
comment on function bloud.stamp_operation() is
  'Sets the role, origin and time of a new operation from the session that inserts the operation.';
create or replace trigger stamp_operation before insert on bloud.operations
  for each row execute function bloud.stamp_operation();

create or replace function bloud.notify_channel() returns trigger
language plpgsql as $$
begin
  perform pg_catalog.pg_notify(tg_argv[0], '');
  return null;
end
$$;
comment on function bloud.notify_channel() is
  'Notifies the channel whose name is the argument of the trigger.';
create or replace trigger notify_work after insert or update on bloud.operations
  for each statement execute function bloud.notify_channel('bloud_work');
-- Wakes the workers that wait for the lease, and the holder if another worker has taken it.
create or replace trigger notify_lease after update on bloud.lease
  for each row when (old.attempt <> new.attempt or (old.lease_until is not null and new.lease_until is null))
  execute function bloud.notify_channel('bloud_work');
create or replace trigger notify_log after insert on bloud.rebuild_log
  for each statement execute function bloud.notify_channel('bloud_log');
-- The next two triggers report changes that add no event, because the status stays the same.
create or replace trigger notify_rename after update of display_name on bloud.apps
  for each statement execute function bloud.notify_channel('bloud_apps');
create or replace trigger notify_request
  after update of cancel_requested_at, purge, warnings on bloud.operations
  for each statement execute function bloud.notify_channel('bloud_apps');
-- When the history gets a new epoch (id), after a backup was restored, clients must read all apps again.
create or replace trigger notify_epoch after update of epoch on bloud.stream
  for each statement execute function bloud.notify_channel('bloud');
