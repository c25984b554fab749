/**
 * Applies the SQL files that every deployment can apply again: functions, triggers, views, grants and
 * comments. What is unchanged since the last deployment is skipped, because a view or a trigger can be
 * replaced only while no transaction uses it.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { z } from 'zod'
import { MigrationError } from './migrationerror.ts'

/** SQL that returns a hash of all functions, views, triggers, rights, owners and comments of the schema. */
const STATE = `
  with relation as (select c.* from pg_class c where c.relnamespace = 'bloud'::regnamespace
    and c.relkind in ('r', 'v', 'S')),
  routine as (select p.* from pg_proc p where p.pronamespace = 'bloud'::regnamespace and p.proname <> 'deployment'),
  line (text) as (
    select concat_ws('|', nspowner::regrole, nspacl) from pg_namespace where nspname = 'bloud'
    union all select concat_ws('|', relname, relowner::regrole, relacl,
      case when relkind = 'v' then pg_get_viewdef(oid) end) from relation
    union all select concat_ws('|', proowner::regrole, proacl, pg_get_functiondef(oid)) from routine
    union all select concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled) from pg_trigger t
      join relation r on r.oid = t.tgrelid where not t.tgisinternal
    union all select concat_ws('|', typname, typacl) from pg_type where typnamespace = 'bloud'::regnamespace
    union all select concat_ws('|', i.type, i.identity, d.description) from pg_description d
      cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
      where i.schema = 'bloud' and i.identity !~ '^bloud\\.deployment'
    union all select concat_ws('|', defaclobjtype, defaclacl) from pg_default_acl
      where defaclrole = 'bloud_owner'::regrole)
  select md5(string_agg(text, E'\\n' order by text collate "C")) as state from line`

/**
 * SQL statement that drops the triggers, views and routines of earlier versions of the schema: those that the
 * current transaction has not created, although it has applied their files.
 */
const dropLeftovers = ({ triggers, views }: Kinds) => `
  do $$
  declare
    v_statement text;
  begin
    for v_statement in
      select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
      from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where ${triggers} and c.relnamespace = 'bloud'::regnamespace and not t.tgisinternal
        and t.xmin <> pg_current_xact_id()::xid
      union all select format('drop view %s', c.oid::regclass) from pg_class c
      where ${views} and c.relnamespace = 'bloud'::regnamespace and c.relkind = 'v'
        and c.xmin <> pg_current_xact_id()::xid
      union all select format('drop routine %s', p.oid::regprocedure) from pg_proc p
      where p.pronamespace = 'bloud'::regnamespace and p.xmin <> pg_current_xact_id()::xid
        and (${triggers} or p.prorettype <> 'trigger'::regtype)
    loop
      execute v_statement;
    end loop;
  end
  $$`

const deployment = z.object({ files: z.string(), triggers: z.string(), views: z.string(), state: z.string() })
type Deployment = z.infer<typeof deployment>

/** Which of the files that lock tables or views are applied. */
interface Kinds {
  triggers: boolean
  views: boolean
}

interface Files {
  functions: string[]
  comments: string[]
  text: Map<string, string>
}

/**
 * Applies what has changed since the last deployment, and drops functions, triggers and views that no file
 * creates any more.
 * @param everything true if also what is unchanged is applied, because a migration has run, for example.
 */
export async function applyReplaceable(
  client: pg.Client,
  sqlDir: string,
  everything: boolean,
): Promise<void> {
  const files = await readFiles(sqlDir)
  const hashes = {
    files: hashOf([...files.text].flat()),
    triggers: hashOf([files.text.get('triggers.sql') ?? '']),
    views: hashOf([files.text.get('views.sql') ?? '']),
  }
  const before = everything ? null : await lastDeployment(client)
  if (before && before.files === hashes.files && before.state === (await stateOf(client))) return
  // A view or trigger that was changed by hand is replaced too.
  const isIntact = before !== null && before.state === (await stateOf(client))
  const changed = {
    triggers: !isIntact || before.triggers !== hashes.triggers,
    views: !isIntact || before.views !== hashes.views,
  }
  // Pending deferred triggers run now, because PostgreSQL refuses `create trigger` on a table with a pending
  // deferred trigger.
  await client.query('set constraints all immediate; set constraints all deferred')
  await client.query('set local check_function_bodies = off; set local client_min_messages = warning')
  await apply(client, files, changed)
  await recordDeployment(client, { ...hashes, state: await stateOf(client) })
}

async function apply(client: pg.Client, files: Files, changed: Kinds): Promise<void> {
  const run = (file: string, text = files.text.get(file) ?? '') =>
    client.query(text).catch((error: Error) => {
      throw new MigrationError('migration_failed', `sql/${file}: ${error.message}`, { cause: error })
    })
  for (const file of files.functions) await run(file)
  if (changed.triggers) await run('triggers.sql')
  if (changed.views) await run('views.sql')
  await run('(objects of earlier versions)', dropLeftovers(changed))
  for (const file of ['grants.sql', ...files.comments]) await run(file)
}

async function readFiles(sqlDir: string): Promise<Files> {
  const filesIn = async (dir: string) =>
    (await readdir(join(sqlDir, dir))).sort().map((file) => `${dir}/${file}`)
  const [found, comments] = [await filesIn('functions'), await filesIn('comments')]
  const first = 'functions/session.sql'
  const functions = [first, ...found.filter((file) => file !== first)]
  const text = new Map<string, string>()
  for (const file of [...functions, 'triggers.sql', 'views.sql', 'grants.sql', ...comments])
    text.set(file, await readFile(join(sqlDir, file), 'utf8'))
  return { functions, comments, text }
}

function hashOf(texts: string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${text.length}:`).update(text)
  return hash.digest('hex')
}

async function stateOf(client: pg.Client): Promise<string> {
  return (await client.query(STATE)).rows[0].state
}

/** Returns the hashes of the last deployment, or null if there was none or its function is missing. */
async function lastDeployment(client: pg.Client): Promise<Deployment | null> {
  const { rows } = await client.query("select to_regprocedure('bloud.deployment()') is not null as exists")
  if (!rows[0].exists) return null
  const found = await client.query('select bloud.deployment() as hashes')
  return deployment.safeParse(found.rows[0].hashes).data ?? null
}

/**
 * Stores the hashes in a function. A function is part of every backup of the schema, as the objects that it
 * describes.
 */
async function recordDeployment(client: pg.Client, hashes: Deployment): Promise<void> {
  await client.query(`
    create or replace function bloud.deployment() returns jsonb language sql immutable
      as $$ select ${pg.escapeLiteral(JSON.stringify(hashes))}::jsonb $$;
    comment on function bloud.deployment() is
      'Returns hashes of the SQL files and of the objects of the last deployment, which the next one compares.';
    revoke all on function bloud.deployment() from public`)
}
