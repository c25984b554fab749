-- psql script that creates the role and the database of one app, both named :role. The password comes from
-- standard input.
\set password `cat`

-- A statement below contains the password, so PostgreSQL must not log it.
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_duration_sample = -1;
set log_min_error_statement = 'panic';
set pg_stat_statements.track_utility = 'off';
set password_encryption = 'scram-sha-256';

select 'create role bloud_apps nologin'
where not exists (select from pg_catalog.pg_roles where rolname = 'bloud_apps') \gexec

-- A role of this name that is not a member of bloud_apps does not belong to an app, so the script must not
-- change its password.
select pg_catalog.format('create role %I login in role bloud_apps', :'role')
where not exists (select from pg_catalog.pg_roles where rolname = :'role') \gexec
select exists (
  select from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles r on r.oid = m.member
  join pg_catalog.pg_roles g on g.oid = m.roleid
  where r.rolname = :'role' and g.rolname = 'bloud_apps'
    and not r.rolsuper and not r.rolcreaterole and not r.rolcreatedb
    and not r.rolreplication and not r.rolbypassrls
) as ours \gset
\if :ours
\else
  do $$ begin raise exception 'a role of this name exists that is not an app''s'; end $$;
\endif
alter role :"role" login password :'password';

select pg_catalog.format('create database %1$I owner %1$I', :'role')
where not exists (select from pg_catalog.pg_database where datname = :'role') \gexec
revoke all on database :"role" from public;
