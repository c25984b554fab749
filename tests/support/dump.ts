/** Describes a database schema as sorted lines, so that a test can compare two schemas. */
import type pg from 'pg'

const acl = (list: string, kind: string, owner: string): string =>
  `(select string_agg(format('%s=%s', coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), a.privilege_type), ' '
     order by a.grantee::regrole::text, a.privilege_type) from (select distinct grantee, privilege_type from aclexplode(coalesce(${list}, acldefault('${kind}', ${owner})))) a)`

const DUMP = `
  with r as (select c.*, c.oid as id from pg_class c
    where c.relnamespace = 'bloud'::regnamespace and c.relkind in ('r', 'v', 'S', 'c'))
  select format('schema: %s, %s', pg_get_userbyid(nspowner), ${acl('nspacl', 'n', 'nspowner')}) as line
  from pg_namespace where nspname = 'bloud'
  union all select format('relation %s (%s): %s, %s', relname, relkind, pg_get_userbyid(relowner),
    case when relkind = 'S' then ${acl('relacl', 's', 'relowner')} else ${acl('relacl', 'r', 'relowner')} end) from r
  union all select format('column %s.%s %s: %s%s%s default %s', r.relname,
    row_number() over (partition by r.id order by a.attnum), a.attname, -- numbers of dropped columns are not reused
    format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' end, ' ' || nullif(a.attidentity::text, ''),
    pg_get_expr(d.adbin, d.adrelid))
  from r join pg_attribute a on a.attrelid = r.id and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = r.id and d.adnum = a.attnum
  union all select format('view %s: %s', relname, pg_get_viewdef(id)) from r where relkind = 'v'
  union all select format('constraint %s.%s: %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  from pg_constraint where connamespace = 'bloud'::regnamespace
  union all select format('index: %s', indexdef) from pg_indexes where schemaname = 'bloud'
  union all select format('trigger: %s', pg_get_triggerdef(t.oid)) from pg_trigger t join r on r.id = t.tgrelid
  where not t.tgisinternal
  union all select format('sequence %s: %s %s %s', sequencename, data_type, start_value, increment_by)
  from pg_sequences where schemaname = 'bloud'
  union all select format('type %s (%s): %s, %s', typname, typtype, pg_get_userbyid(typowner), ${acl('typacl', 'T', 'typowner')})
  from pg_type where typnamespace = 'bloud'::regnamespace
  union all select format('function %s: %s, %s, %s', oid::regprocedure, pg_get_userbyid(proowner),
    ${acl('proacl', 'f', 'proowner')}, pg_get_functiondef(oid)) from pg_proc where pronamespace = 'bloud'::regnamespace
  union all select format('by default: %s %s', defaclobjtype, ${acl('defaclacl', 'f', 'defaclrole')}) from pg_default_acl
  union all select format('comment on %s %s: %s', i.type, i.identity, d.description)
  from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
  where i.schema = 'bloud' or i.identity like '%bloud%'
  union all select format('migration %s', name) from bloud.migrations
  union all select format('transition: %s', t) from bloud.status_transitions t
  order by 1`

export async function schemaDump(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(
    "select to_regclass('bloud.migrations') is not null as there, to_regnamespace('bloud') is null as none",
  )
  if (rows[0].none) return []
  if (!rows[0].there) return ['half a schema']
  return (await client.query(DUMP)).rows.map(({ line }) => line)
}
