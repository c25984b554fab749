-- Creates the missing PostgreSQL roles of the agent, before the migrations. Some roles may exist already,
-- because all databases of a server share the roles.
--
--   bloud_owner         owns every object and can't log in
--   bloud_viewer        reads
--   bloud_operator      reads, and calls the verbs (install, uninstall, retry, cancel, rename, rollback)
--   bloud_relay         reads, and assumes bloud_operator only while it calls a verb for the page or the API
--   bloud_orchestrator  reads, and calls the functions that take an attempt number
--
-- src/db/migration.ts sets the passwords of the roles afterwards. If the login has no CREATEROLE privilege,
-- an administrator must run this file once.
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
  -- The role bloud_relay inherits no privileges, so that a session of the relay can call verbs only while the
  -- session assumes the role bloud_operator.
  if exists (select from pg_catalog.pg_roles where rolname = 'bloud_relay' and rolinherit) then
    alter role bloud_relay noinherit;
  end if;
  if not pg_catalog.pg_has_role('bloud_relay', 'bloud_operator', 'member') then
    execute 'grant bloud_operator to bloud_relay' || case when v_new then ' with inherit false' else '' end;
  end if;
  -- Grants the roles to the login of the migration, because the login assumes the role bloud_owner. Since
  -- PostgreSQL 16 the creator of a role can't assume the role without a grant.
  foreach v_role in array array['bloud_owner', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, case when v_new then 'set' else 'member' end) then
      execute pg_catalog.format('grant %I to %I', v_role, current_user);
    end if;
  end loop;
end
$$;
