-- The roles. This file runs before the migrations and creates only missing roles, because roles belong to the
-- whole cluster. Its login needs CREATEROLE; without it, an administrator runs this file once.
--
--   bloud_owner         owns every object, can't log in
--   bloud_viewer        reads
--   bloud_operator      reads, and calls the verbs (install, uninstall, retry, cancel, rename, rollback)
--   bloud_relay         reads, and assumes bloud_operator only while it calls a verb for the page or the API
--   bloud_orchestrator  reads, and calls the functions that take an attempt number
--
--   missing → created → granted to the login of the migration → login and password set by src/db/migration.ts
--
-- Error raised by PostgreSQL: 42501, if the login may not create roles.
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
        null; -- a migrator of another database of the cluster has just created the role
      end;
    end if;
  end loop;
  foreach v_role in array array['bloud_operator', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, 'bloud_viewer', 'member') then
      execute pg_catalog.format('grant bloud_viewer to %I', v_role);
    end if;
  end loop;
  -- The relay has the privileges of an operator only while it assumes that role. PostgreSQL 15 can disable
  -- inheritance only for a whole role, so grants.sql grants the reading privileges to bloud_relay itself.
  if exists (select from pg_catalog.pg_roles where rolname = 'bloud_relay' and rolinherit) then
    alter role bloud_relay noinherit;
  end if;
  if not pg_catalog.pg_has_role('bloud_relay', 'bloud_operator', 'member') then
    execute 'grant bloud_operator to bloud_relay' || case when v_new then ' with inherit false' else '' end;
  end if;
  -- The login migrates as the owner, and the processes of this database may use the same login. The roles are
  -- granted to it, because since PostgreSQL 16 the creator of a role may administer it, but not assume it.
  foreach v_role in array array['bloud_owner', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, case when v_new then 'set' else 'member' end) then
      execute pg_catalog.format('grant %I to %I', v_role, current_user);
    end if;
  end loop;
end
$$;
