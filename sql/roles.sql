-- Creates the PostgreSQL roles of the agent that don't exist yet, before the migrations. Roles belong to the
-- whole PostgreSQL server, so some may exist because of another database.
--
--   bloud_owner         owns every object and can't log in
--   bloud_viewer        reads all tables
--   bloud_operator      like bloud_viewer, and may install, uninstall, retry, cancel, rename and roll back
--   bloud_relay         reads all tables, and assumes bloud_operator for requests from the page or the API
--   bloud_orchestrator  like bloud_viewer, and calls the functions that take an attempt number (lease.sql)
--   bloud_psql          login of npm run psql, a member of bloud_operator; only where the agent created it
--
-- bloud_viewer and bloud_operator can't log in, because a session that has assumed a role can change the
-- password of that role. Since PostgreSQL 16 bloud_psql can't assume bloud_operator, but has its rights.
--
-- src/db/migration.ts sets the passwords of the roles afterwards. If the login of the migration may not
-- create roles, an administrator must run this file once.
do $$
declare
  v_role text;
  v_statement text;
  v_new boolean := pg_catalog.current_setting('server_version_num')::integer >= 160000;
begin
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
  -- Without inherited privileges, a session of the relay (HTTP server) can install and uninstall apps only
  -- while the session has assumed the role bloud_operator.
  if exists (select from pg_catalog.pg_roles where rolname = 'bloud_relay' and rolinherit) then
    alter role bloud_relay noinherit;
  end if;
  if not pg_catalog.pg_has_role('bloud_relay', 'bloud_operator', 'member') then
    execute 'grant bloud_operator to bloud_relay' || case when v_new then ' with inherit false' else '' end;
  end if;
  if exists (select from pg_catalog.pg_roles where rolname = 'bloud_psql')
     and not pg_catalog.pg_has_role('bloud_psql', 'bloud_operator', 'member') then
    execute 'grant bloud_operator to bloud_psql'
      || case when v_new then ' with inherit true, set false' else '' end;
  end if;
  -- Earlier versions used bloud_operator as the login of psql.
  foreach v_role in array array['bloud_owner', 'bloud_viewer', 'bloud_operator'] loop
    if exists (select from pg_catalog.pg_roles where rolname = v_role and rolcanlogin) then
      execute pg_catalog.format('alter role %I nologin', v_role);
    end if;
  end loop;
  -- A session that has assumed a group can change the settings of the group.
  for v_statement in
    select pg_catalog.format('alter role %I %s reset all', r.rolname,
      'in database ' || pg_catalog.quote_ident(d.datname))
    from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole
    left join pg_catalog.pg_database d on d.oid = s.setdatabase
    where r.rolname in ('bloud_owner', 'bloud_viewer', 'bloud_operator')
      and (s.setdatabase = 0 or d.datname = pg_catalog.current_database())
  loop
    execute v_statement;
  end loop;
  -- The migration assumes the role bloud_owner. Since PostgreSQL 16, creating a role does not include the
  -- right to assume the role, so the right is granted here.
  foreach v_role in array array['bloud_owner', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator'] loop
    if not pg_catalog.pg_has_role(v_role, case when v_new then 'set' else 'member' end) then
      execute pg_catalog.format('grant %I to %I', v_role, current_user);
    end if;
  end loop;
end
$$;
