import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { connected } from './database.ts'

const SQL_DIR = join(import.meta.dirname, '../../sql')
/** Another migrator may be at work; it takes seconds. */
const LOCK_LIMIT_MS = 60_000
/** For one statement, the wait for the other migrator included. */
const ANSWER_LIMIT_MS = 2 * LOCK_LIMIT_MS
const MIGRATION_LOCK = 45_071
const LOCK_NOT_AVAILABLE = '55P03'

/** What a deploy has not made anew: it was made by an earlier version, whose files are gone. */
const DROP_LEFTOVERS = `
  do $$
  declare
    v_statement text;
  begin
    for v_statement in
      select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
      from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where c.relnamespace = 'bloud'::regnamespace and not t.tgisinternal and t.xmin <> pg_current_xact_id()::xid
      union all select format('drop view %s', c.oid::regclass) from pg_class c
      where c.relnamespace = 'bloud'::regnamespace and c.relkind = 'v' and c.xmin <> pg_current_xact_id()::xid
      union all select format('drop routine %s', p.oid::regprocedure) from pg_proc p
      where p.pronamespace = 'bloud'::regnamespace and p.xmin <> pg_current_xact_id()::xid
    loop
      execute v_statement;
    end loop;
  end
  $$`

/** Why the database can't be brought to this program's schema, and what to do. */
export class MigrationError extends Error {
  readonly code: 'schema_newer' | 'roles_missing' | 'migration_failed' | 'busy'

  constructor(code: MigrationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface MigrateOptions {
  /** A login that may create roles and schemas, or that is a member of an existing bloud_owner. */
  url: string
  /** Passwords by role; a role named here may log in. Unset: roles can't log in, their members assume them. */
  rolePasswords?: Record<string, string>
  log: { info: (line: string) => void }
  /** The folder `sql` to apply; another one than the program's own is for tests. */
  sqlDir?: string
  /** How long one statement may take. Milliseconds; another one than ANSWER_LIMIT_MS is for tests. */
  answerLimitMs?: number
}

/**
 * Brings a database to this program's schema: roles first, then in one transaction the new migrations and everything
 * that can be replaced. Killed at any moment, it leaves the old schema or the new one. Waits for another migrator. Doing
 * it twice changes nothing.
 * @throws MigrationError
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { url, rolePasswords = {}, log, sqlDir = SQL_DIR, answerLimitMs = ANSWER_LIMIT_MS } = options
  const deploy = async (client: pg.Client) => {
    await awaitTurn(client)
    await prepareRoles(client, sqlDir, rolePasswords)
    await client.query('set role bloud_owner')
    await client.query('begin')
    await refuseNewer(client, sqlDir)
    const applied = await runMigrations(client, sqlDir)
    await applyReplaceable(client, sqlDir)
    await client.query('commit')
    return applied
  }
  const applied = await connected(url, deploy, { name: 'bloud-migrate', answerLimitMs })
  for (const name of applied) log.info(`migrated: ${name}`)
}

async function awaitTurn(client: pg.Client): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_LIMIT_MS}`)
  await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]).catch((error) => {
    if (error.code !== LOCK_NOT_AVAILABLE) throw error
    const wait = `${LOCK_LIMIT_MS / 1000} s`
    throw new MigrationError('busy', `Somebody else has been migrating this database for more than ${wait}.`)
  })
}

async function prepareRoles(
  client: pg.Client,
  sqlDir: string,
  rolePasswords: Record<string, string>,
): Promise<void> {
  try {
    await client.query(await readFile(join(sqlDir, 'roles.sql'), 'utf8'))
    for (const [role, password] of Object.entries(rolePasswords)) {
      const statement = `alter role ${pg.escapeIdentifier(role)} login password ${pg.escapeLiteral(password)}`
      await client.query(statement)
    }
    const { rows } = await client.query('select quote_ident(current_database()) as db')
    await client.query(`revoke all on database ${rows[0].db} from public`)
    await client.query(`grant connect, create on database ${rows[0].db} to bloud_owner`)
    await client.query(
      `grant connect on database ${rows[0].db} to bloud_viewer, bloud_operator, bloud_relay, bloud_orchestrator`,
    )
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error
    throw new MigrationError(
      'roles_missing',
      `This login may not create the roles of the system (${(error as Error).message}). ` +
        'Have an administrator run: psql -f sql/roles.sql, as a superuser, with this login granted bloud_owner.',
      { cause: error },
    )
  }
}

/** The roles alone, for a restore into a database that has none of us yet. @throws MigrationError */
export function createRoles(url: string): Promise<void> {
  return connected(url, (client) => prepareRoles(client, SQL_DIR, {}))
}

/** The names of this program's migrations. */
export async function knownMigrations(sqlDir = SQL_DIR): Promise<Set<string>> {
  const files = await readdir(join(sqlDir, 'migrations'))
  return new Set(files.filter((file) => file.endsWith('.sql')).map((file) => file.replace(/\.sql$/, '')))
}

async function refuseNewer(client: pg.Client, sqlDir: string): Promise<void> {
  const exists = await client.query("select to_regclass('bloud.migrations') is not null as yes")
  if (!exists.rows[0].yes) return
  const known = await knownMigrations(sqlDir)
  const { rows } = await client.query('select name from bloud.migrations order by id')
  const unknown = rows.map((each) => each.name as string).filter((name) => !known.has(name))
  if (unknown.length === 0) return
  throw new MigrationError(
    'schema_newer',
    `This database was migrated by a newer version of the program (${unknown.join(', ')}). ` +
      'Start that version, or restore a backup made by this one.',
  )
}

/** node-pg-migrate begins and commits by itself; here it is a part of our transaction. */
function withoutTransactions(client: pg.Client): pg.ClientBase {
  const query = (text: string | object, values?: unknown[]) =>
    typeof text === 'string' && /^(begin|commit|rollback);?$/i.test(text)
      ? Promise.resolve({ rows: [] })
      : client.query(text as string, values)
  return { query } as unknown as pg.ClientBase
}

async function runMigrations(client: pg.Client, sqlDir: string): Promise<string[]> {
  let at = ''
  const noteFile = (line: string) => {
    const name = /MIGRATION (\S+) \(UP\)/.exec(line)?.[1]
    if (name) at = `/${name}.sql`
  }
  try {
    const done = await runner({
      dbClient: withoutTransactions(client),
      dir: join(sqlDir, 'migrations'),
      ignorePattern: '(?!.*\\.sql$).*',
      direction: 'up',
      migrationsTable: 'migrations',
      migrationsSchema: 'bloud',
      createMigrationsSchema: true,
      noLock: true, // the lock is held above, over roles and replaceable parts too
      logger: { info: noteFile, warn: () => {}, error: () => {} },
    })
    return done.map((migration) => migration.name)
  } catch (error) {
    throw new MigrationError('migration_failed', `sql/migrations${at}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Functions, triggers, views, grants, comments: everything that is `create or replace`; and nothing else stays. */
async function applyReplaceable(client: pg.Client, sqlDir: string): Promise<void> {
  const functions = (await readdir(join(sqlDir, 'functions'))).sort().map((file) => `functions/${file}`)
  const first = 'functions/session.sql'
  const begin = [first, ...functions.filter((file) => file !== first), 'triggers.sql', 'views.sql']
  // A table with events of deferred triggers can't be given a trigger.
  await client.query('set constraints all immediate; set constraints all deferred')
  await client.query('set local check_function_bodies = off; set local client_min_messages = warning')
  for (const file of begin) await applyFile(client, sqlDir, file)
  await client.query(DROP_LEFTOVERS)
  for (const file of ['grants.sql', 'comments.sql']) await applyFile(client, sqlDir, file)
}

async function applyFile(client: pg.Client, sqlDir: string, file: string): Promise<void> {
  await client.query(await readFile(join(sqlDir, file), 'utf8')).catch((error: Error) => {
    throw new MigrationError('migration_failed', `sql/${file}: ${error.message}`, { cause: error })
  })
}
