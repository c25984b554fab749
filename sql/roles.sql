-- The roles of the system. Roles belong to the whole cluster, so this file runs first, before any migration, and
-- creates only what is missing. Whoever runs it needs CREATEROLE; where that is refused, an administrator runs it once.
--
--   bloud_owner         owns every object, can't log in
--   bloud_viewer        reads
--   bloud_operator      reads, and calls the verbs (install, uninstall, retry, cancel)
--   bloud_relay         reads, and assumes bloud_operator only to call a verb for somebody at the page or the API
--   bloud_orchestrator  reads, and calls the functions that carry an attempt number
do $$
declare
  v_role text;
  v_new boolean := pg_catalog.current_setting('server_version_num')::integer >= 160000;
begin
  perform pg_catalog.pg_advisory_xact_lock(45069, 1);
  foreach v_role in array array['bloud_owner', 'bloud_viewer', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute pg_catalog.format('create role %I nologin%s', v_role, case v_role when 'bloud_relay' then ' noinherit' end);
      exception when duplicate_object or unique_violation then
        null; -- another migrator, in another database of the cluster, was faster
      end;
    end if;
  end loop;
  foreach v_role in array array['bloud_operator', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, 'bloud_viewer', 'member') then
      execute pg_catalog.format('grant bloud_viewer to %I', v_role);
    end if;
  end loop;
  -- The relay has an operator's rights only while it assumes the role. PostgreSQL 15 knows that for a whole role only, so
  -- the relay inherits nothing, and what it reads is granted to itself (grants.sql).
  if exists (select from pg_catalog.pg_roles where rolname = 'bloud_relay' and rolinherit) then
    alter role bloud_relay noinherit;
  end if;
  if not pg_catalog.pg_has_role('bloud_relay', 'bloud_operator', 'member') then
    execute 'grant bloud_operator to bloud_relay' || case when v_new then ' with inherit false' else '' end;
  end if;
  -- Whoever runs this migrates as the owner, and the processes of this database may come in through the same login.
  -- Since PostgreSQL 16 a role's creator may administer it, but not yet assume it.
  foreach v_role in array array['bloud_owner', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, case when v_new then 'set' else 'member' end) then
      execute pg_catalog.format('grant %I to %I', v_role, current_user);
    end if;
  end loop;
end
$$;
