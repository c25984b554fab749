-- Renames columns, tables, indexes and constraints to standard names. The only data change is in the texts of
-- status_transitions.meaning.

alter table bloud.apps rename column moved_by to status_actor;
alter table bloud.apps rename column moved_from to status_origin;

alter table bloud.removals rename to deletions;
alter table bloud.deletions rename constraint removals_pkey to deletions_pkey;
do $$
declare
  v_name text;
begin
  -- Renames not-null constraints, because since PostgreSQL 18 their names contain the name of the table.
  for v_name in select c.conname from pg_catalog.pg_constraint c
      where c.conrelid = 'bloud.deletions'::regclass and c.conname like 'removals%' loop
    execute format('alter table bloud.deletions rename constraint %I to %I', v_name,
      replace(v_name, 'removals', 'deletions'));
  end loop;
end
$$;

alter index bloud.events_by_move rename to events_by_transition;

alter table bloud.status_transitions rename constraint one_row_per_move to one_row_per_transition;
alter table bloud.status_transitions rename constraint a_move_has_an_end to transition_names_a_status;
alter table bloud.operations
  rename constraint only_what_is_for_all_has_no_app to only_host_operations_have_no_app;
alter domain bloud.cause rename constraint cause_says_why to cause_has_class_and_message;

update bloud.status_transitions t set meaning = n.meaning
from (values
  ('queued', 'configuring', 'claimed by a rebuild: configuration is being written'),
  ('queued', 'failed', 'a check before the start failed, or cancelled'),
  ('queued', 'stopped', 'cancelled; the app was installed before and its data is kept'),
  ('queued', null, 'withdrawn before its first configuration'),
  ('building', 'starting', 'the host was rebuilt: the health check is awaited'),
  ('starting', 'error', 'the health check failed, or did not pass before the deadline'),
  ('starting', 'stopping', 'uninstall requested while the app was starting'),
  ('running', 'stopping', 'uninstall requested'),
  ('error', 'stopping', 'uninstall requested'),
  ('failed', 'stopping', 'uninstall requested'),
  ('stopping', 'stopped', 'uninstalled; its data is kept'),
  ('stopping', 'error', 'the rebuild of the uninstall failed and the app is still active'),
  ('stopping', null, 'uninstalled and purged')) as n (from_status, to_status, meaning)
where t.from_status = n.from_status and t.to_status is not distinct from n.to_status;

-- Drops find_rollback(), because `create or replace function` can't rename its output columns.
drop function if exists bloud.find_rollback();
