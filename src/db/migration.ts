import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { connected } from './database.ts'

const SQL_DIR = join(import.meta.dirname, '../../sql')
/** Upper limit in milliseconds of the wait for another process that migrates the same database. */
const LOCK_LIMIT_MS = 60_000
/**
 * Upper limit of the duration of an SQL statement, in milliseconds. It is longer than LOCK_LIMIT_MS, because
 * a statement also waits for the lock of the migration.
 */
const ANSWER_LIMIT_MS = 2 * LOCK_LIMIT_MS
/** Key of the PostgreSQL advisory lock that allows only one migration at a time. */
const MIGRATION_LOCK = 45_071
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * SQL statement that drops the triggers, views and routines of earlier versions of the schema. These are the
 * ones that the current transaction has not created, because every migration creates all current ones again.
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

export class MigrationError extends Error {
  readonly code: 'schema_newer' | 'roles_missing' | 'migration_failed' | 'busy'

  constructor(code: MigrationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface MigrateOptions {
  /**
   * URL of the database. The login must be a member of the PostgreSQL role `bloud_owner`, or be allowed to
   * create roles and schemas.
   */
  url: string
  /** Passwords by PostgreSQL role. A role without a password cannot log in. */
  rolePasswords?: Record<string, string>
  log: { info: (line: string) => void }
  sqlDir?: string
  answerLimitMs?: number
}

/**
 * Migrates a database to the schema of this program. All changes of the schema are made in one transaction,
 * so a killed process leaves either the old schema or the new schema.
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

/**
 * Creates the PostgreSQL roles but no tables. A backup grants rights to these roles, so it can be restored
 * only if the roles exist.
 * @throws MigrationError
 */
export function createRoles(url: string): Promise<void> {
  return connected(url, (client) => prepareRoles(client, SQL_DIR, {}))
}

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

/**
 * Returns a database client for the library node-pg-migrate that ignores `begin` and `commit`, because all
 * migrations run in one transaction.
 */
function withoutTransactions(client: pg.Client): pg.ClientBase {
  const query = (text: string | object, values?: unknown[]) =>
    typeof text === 'string' && /^(begin|commit|rollback);?$/i.test(text)
      ? Promise.resolve({ rows: [] })
      : client.query(text as string, values)
  return { query } as unknown as pg.ClientBase
}

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
      noLock: true, // `acquireMigrationLock` already holds a lock for the whole migration
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
 * Creates all functions, triggers, views, grants and comments of the schema again, and drops the functions,
 * triggers and views that no SQL file creates any more.
 */
async function applyReplaceable(client: pg.Client, sqlDir: string): Promise<void> {
  const filesIn = async (dir: string) =>
    (await readdir(join(sqlDir, dir))).sort().map((file) => `${dir}/${file}`)
  const functions = await filesIn('functions')
  const first = 'functions/session.sql'
  const begin = [first, ...functions.filter((file) => file !== first), 'triggers.sql', 'views.sql']
  // Pending deferred triggers run now, because PostgreSQL refuses `create trigger` on a table with a pending
  // deferred trigger.
  await client.query('set constraints all immediate; set constraints all deferred')
  await client.query('set local check_function_bodies = off; set local client_min_messages = warning')
  for (const file of begin) await applyFile(client, sqlDir, file)
  await client.query(DROP_LEFTOVERS)
  for (const file of ['grants.sql', ...(await filesIn('comments'))]) await applyFile(client, sqlDir, file)
}

async function applyFile(client: pg.Client, sqlDir: string, file: string): Promise<void> {
  await client.query(await readFile(join(sqlDir, file), 'utf8')).catch((error: Error) => {
    throw new MigrationError('migration_failed', `sql/${file}: ${error.message}`, { cause: error })
  })
}
