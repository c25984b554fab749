-- PostgreSQL roles of the agent, created before the migrations. Only missing roles are created, because all
-- databases of a cluster share the roles. The login that runs this file needs CREATEROLE.
--
--   bloud_owner         owns every object and can't log in
--   bloud_viewer        reads
--   bloud_operator      reads, and calls the verbs (install, uninstall, retry, cancel, rename, rollback)
--   bloud_relay         reads, and assumes bloud_operator only while it calls a verb for the page or the API
--   bloud_orchestrator  reads, and calls the functions that take an attempt number
--
-- src/db/migration.ts sets login and password of the roles afterwards. If the login may not create roles,
-- PostgreSQL raises 42501, and an administrator must run this file once.
do $$
declare
  v_role text;
  v_new boolean := pg_catalog.current_setting('server_version_num')::integer >= 160000;
begin
  perform pg_catalog.pg_advisory_xact_lock(45069, 1);
  foreach v_role in array
      array['bloud_owner', 'bloud_viewer', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute pg_catalog.format('create role %I nologin%s', v_role,
          case v_role when 'bloud_relay' then ' noinherit' end);
      exception when duplicate_object or unique_violation then
        null; -- a concurrent migration of another database of the cluster has just created the role
      end;
    end if;
  end loop;
  foreach v_role in array array['bloud_operator', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, 'bloud_viewer', 'member') then
      execute pg_catalog.format('grant bloud_viewer to %I', v_role);
    end if;
  end loop;
  -- bloud_relay has the privileges of bloud_operator only while it assumes that role. PostgreSQL 15 can
  -- disable inheritance only for a whole role, so grants.sql grants reading privileges to bloud_relay itself.
  if exists (select from pg_catalog.pg_roles where rolname = 'bloud_relay' and rolinherit) then
    alter role bloud_relay noinherit;
  end if;
  if not pg_catalog.pg_has_role('bloud_relay', 'bloud_operator', 'member') then
    execute 'grant bloud_operator to bloud_relay' || case when v_new then ' with inherit false' else '' end;
  end if;
  -- Grants the roles to the login of the migration, because the login migrates as bloud_owner. The grant is
  -- needed since PostgreSQL 16, where the creator of a role may administer the role but not assume it.
  foreach v_role in array array['bloud_owner', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, case when v_new then 'set' else 'member' end) then
      execute pg_catalog.format('grant %I to %I', v_role, current_user);
    end if;
  end loop;
end
$$;
