import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { connected } from './database.ts'

const SQL_DIR = join(import.meta.dirname, '../../sql')
/** Upper limit for the wait for another migrating process, in milliseconds; a migration takes seconds. */
const LOCK_LIMIT_MS = 60_000
/** Upper limit for one statement in milliseconds, including the wait for the other process. */
const ANSWER_LIMIT_MS = 2 * LOCK_LIMIT_MS
/** Key of the advisory lock that allows one migration at a time. */
const MIGRATION_LOCK = 45_071
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * Drops triggers, views and routines that this transaction has not created: an earlier version left them
 * behind.
 */
const DROP_LEFTOVERS = `
  do $$
  declare
    v_statement text;
  begin
    for v_statement in
      select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
      from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where c.relnamespace = 'bloud'::regnamespace and not t.tgisinternal
        and t.xmin <> pg_current_xact_id()::xid
      union all select format('drop view %s', c.oid::regclass) from pg_class c
      where c.relnamespace = 'bloud'::regnamespace and c.relkind = 'v' and c.xmin <> pg_current_xact_id()::xid
      union all select format('drop routine %s', p.oid::regprocedure) from pg_proc p
      where p.pronamespace = 'bloud'::regnamespace and p.xmin <> pg_current_xact_id()::xid
    loop
      execute v_statement;
    end loop;
  end
  $$`

/**
 * The database cannot be brought to the schema of this program; the message names the reason and a remedy.
 */
export class MigrationError extends Error {
  readonly code: 'schema_newer' | 'roles_missing' | 'migration_failed' | 'busy'

  constructor(code: MigrationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface MigrateOptions {
  /** URL with a login that may create roles and schemas, or that is a member of an existing bloud_owner. */
  url: string
  /**
   * Passwords by role; a role named here may log in. A role without a password is only assumed by its
   * members.
   */
  rolePasswords?: Record<string, string>
  log: { info: (line: string) => void }
  /** Folder to apply instead of the program's own `sql`, for tests. */
  sqlDir?: string
  /** Upper limit for one statement in milliseconds; tests set a value other than ANSWER_LIMIT_MS. */
  answerLimitMs?: number
}

/**
 * Brings a database to the schema of this program: first the roles, then in one transaction the new
 * migrations and all replaceable objects. If the process is killed, the database has either the old schema or
 * the new one. Waits for another migrating process. A second call changes nothing.
 * @throws MigrationError
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { url, rolePasswords = {}, log, sqlDir = SQL_DIR, answerLimitMs = ANSWER_LIMIT_MS } = options
  const deploy = async (client: pg.Client) => {
    await acquireMigrationLock(client)
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

/** Takes the advisory lock of the session. @throws MigrationError busy after LOCK_LIMIT_MS. */
async function acquireMigrationLock(client: pg.Client): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_LIMIT_MS}`)
  await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]).catch((error) => {
    if (error.code !== LOCK_NOT_AVAILABLE) throw error
    const wait = `${LOCK_LIMIT_MS / 1000} s`
    throw new MigrationError(
      'busy',
      `Another process has been migrating this database for more than ${wait}.`,
    )
  })
}

/** Creates the roles, sets their passwords and grants them access to the database. */
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
      `grant connect on database ${rows[0].db}
        to bloud_viewer, bloud_operator, bloud_relay, bloud_orchestrator`,
    )
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error
    throw new MigrationError(
      'roles_missing',
      `This login may not create the roles of the system (${(error as Error).message}). ` +
        'Have an administrator run as superuser: psql -f sql/roles.sql, and grant bloud_owner to this login.',
      { cause: error },
    )
  }
}

/** Creates the roles only, before a restore into a database without them. @throws MigrationError */
export function createRoles(url: string): Promise<void> {
  return connected(url, (client) => prepareRoles(client, SQL_DIR, {}))
}

/** Returns the names of the migrations of this program. */
export async function knownMigrations(sqlDir = SQL_DIR): Promise<Set<string>> {
  const files = await readdir(join(sqlDir, 'migrations'))
  return new Set(files.filter((file) => file.endsWith('.sql')).map((file) => file.replace(/\.sql$/, '')))
}

/** @throws MigrationError schema_newer if the database has a migration that this program does not have. */
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

/**
 * Returns a client that ignores the `begin` and `commit` of node-pg-migrate, because it runs inside our
 * transaction.
 */
function withoutTransactions(client: pg.Client): pg.ClientBase {
  const query = (text: string | object, values?: unknown[]) =>
    typeof text === 'string' && /^(begin|commit|rollback);?$/i.test(text)
      ? Promise.resolve({ rows: [] })
      : client.query(text as string, values)
  return { query } as unknown as pg.ClientBase
}

/** Applies the new migrations and returns their names. */
async function runMigrations(client: pg.Client, sqlDir: string): Promise<string[]> {
  let file = ''
  const recordFile = (line: string) => {
    const name = /MIGRATION (\S+) \(UP\)/.exec(line)?.[1]
    if (name) file = `/${name}.sql`
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
      noLock: true, // `acquireMigrationLock` also covers the roles and the replaceable objects
      logger: { info: recordFile, warn: () => {}, error: () => {} },
    })
    return done.map((migration) => migration.name)
  } catch (error) {
    throw new MigrationError('migration_failed', `sql/migrations${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/**
 * Applies functions, triggers, views, grants and comments anew, and drops those that no file creates any
 * more.
 */
async function applyReplaceable(client: pg.Client, sqlDir: string): Promise<void> {
  const functions = (await readdir(join(sqlDir, 'functions'))).sort().map((file) => `functions/${file}`)
  const first = 'functions/session.sql'
  const begin = [first, ...functions.filter((file) => file !== first), 'triggers.sql', 'views.sql']
  // PostgreSQL refuses to create a trigger on a table with pending events of deferred triggers.
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
