import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { connected } from './database.ts'
import { refuseOtherEncoding, refuseOtherOwner, refuseReadOnly } from './migrationcheck.ts'
import { MigrationError } from './migrationerror.ts'
import { applyReplaceable } from './replaceable.ts'

export { MigrationError } from './migrationerror.ts'

const SQL_DIR = join(import.meta.dirname, '../../sql')
/**
 * Upper limit in milliseconds of the wait for one lock. While a deployment waits, later readers wait behind
 * it, so the wait is short and repeated. It is shorter than PostgreSQL's deadlock_timeout (1 s), so that
 * another session is never ended because of a deadlock with a deployment.
 */
const LOCK_LIMIT_MS = 900
/** Pause in milliseconds after a wait, in which other sessions work on. */
const PAUSE_MS = 500
/** Upper limit in milliseconds of all waits for locks, for example of a transaction that was left open. */
const WAIT_LIMIT_MS = 10 * 60_000
/** Upper limit of the duration of an SQL statement, in milliseconds. */
const ANSWER_LIMIT_MS = 120_000
/** Number of attempts if another deployment creates the same objects at the same time. */
const ATTEMPTS = 20

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
 * so a killed process leaves either the old schema or the new schema. Nothing outlives the transaction in the
 * session, because a connection pooler may give the session to another client.
 * @throws MigrationError
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { url, rolePasswords = {}, log, sqlDir = SQL_DIR, answerLimitMs = ANSWER_LIMIT_MS } = options
  const deploy = async (client: pg.Client) => {
    await refuseReadOnly(client)
    await refuseOtherEncoding(client)
    await withRetries(client, log, () => prepareRoles(client, sqlDir, rolePasswords))
    return withRetries(client, log, () => deployChanges(client, sqlDir))
  }
  const applied = await connected(url, deploy, { name: 'bloud-migrate', answerLimitMs })
  for (const name of applied) log.info(`migrated: ${name}`)
}

/** SQLSTATEs of functions that can't be dropped or replaced while the old views and triggers use them. */
const IN_USE = ['2BP01', '42P13']

/** Deploys what has changed. Replaces also unchanged views and triggers if changed functions need that. */
async function deployChanges(client: pg.Client, sqlDir: string): Promise<string[]> {
  try {
    return await deployOnce(client, sqlDir, false)
  } catch (error) {
    if (!IN_USE.includes(innermost(error).code ?? '')) throw error
    await client.query('rollback')
    return deployOnce(client, sqlDir, true)
  }
}

async function deployOnce(client: pg.Client, sqlDir: string, everything: boolean): Promise<string[]> {
  await client.query(`begin; set local lock_timeout = ${LOCK_LIMIT_MS}; set local role bloud_owner`)
  await lockSchema(client)
  const applied = (await isMigrated(client, sqlDir)) ? [] : await runMigrations(client, sqlDir)
  await applyReplaceable(client, sqlDir, everything || applied.length > 0)
  await client.query('commit')
  return applied
}

/**
 * Allows only one deployment at a time. No reader can hold a conflicting lock on the table of the migrations.
 * In a new database, a second deployment waits for the name of the schema.
 */
async function lockSchema(client: pg.Client): Promise<void> {
  await refuseOtherOwner(client)
  const { rows } = await client.query("select to_regclass('bloud.migrations') is not null as exists")
  await client.query(
    rows[0].exists ? 'lock table bloud.migrations in exclusive mode' : 'create schema if not exists bloud',
  )
}

/** SQLSTATEs of locks that other sessions hold. */
const LOCKED = ['55P03', '40P01', '40001']
/** SQLSTATEs of objects that another deployment has just created: names of a schema, object, row or table. */
const CREATED = ['42P06', '42710', '23505', '42P07', '42723']

const isTaken = ({ code = '', message }: { code?: string; message: string }) =>
  CREATED.includes(code) || /concurrently (updated|deleted)/.test(message)

/**
 * Calls `attempt`, which runs a transaction, again and again while other sessions hold its locks.
 * @throws MigrationError busy after WAIT_LIMIT_MS.
 */
async function withRetries<T>(
  client: pg.Client,
  log: MigrateOptions['log'],
  attempt: () => Promise<T>,
): Promise<T> {
  const begin = performance.now()
  for (let count = 1, waits = 0; ; count += 1) {
    try {
      return await attempt()
    } catch (error) {
      const reason = innermost(error)
      await client.query('rollback').catch(() => {})
      const isLocked = LOCKED.includes(reason.code ?? '')
      if (!isLocked && !(isTaken(reason) && count < ATTEMPTS)) throw error
      if (isLocked) {
        const holder = await oldestTransaction(client)
        if (performance.now() - begin > WAIT_LIMIT_MS) throw busy(holder)
        waits += 1
        if (waits === 1) log.info(`The deployment waits for another transaction${holder}.`)
      }
      await sleep(PAUSE_MS)
    }
  }
}

const busy = (holder: string) =>
  new MigrationError(
    'busy',
    `Another transaction has been using the schema for more than ${WAIT_LIMIT_MS / 60_000} min${holder}. ` +
      'Commit it or end its session, then try again.',
  )

function innermost(error: unknown): Error & { code?: string } {
  const { cause } = error as Error
  return cause instanceof Error ? innermost(cause) : (error as Error)
}

/** Returns the session with the oldest open transaction as text for a message, or an empty text. */
async function oldestTransaction(client: pg.Client): Promise<string> {
  const { rows } = await client.query(`
    select format(': process %s of PostgreSQL, login %s, program %s, open since %s', pid, usename,
      coalesce(nullif(application_name, ''), 'unknown'), to_char(xact_start, 'HH24:MI:SS')) as text
    from pg_catalog.pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
    order by xact_start limit 1`)
  return rows[0]?.text ?? ''
}

async function prepareRoles(
  client: pg.Client,
  sqlDir: string,
  rolePasswords: Record<string, string>,
): Promise<void> {
  try {
    await client.query(`begin; set local lock_timeout = ${LOCK_LIMIT_MS}`)
    for (const role of Object.keys(rolePasswords)) await createRole(client, role)
    await client.query(await readFile(join(sqlDir, 'roles.sql'), 'utf8'))
    const { rows } = await client.query('select quote_ident(current_database()) as db')
    for (const [role, password] of Object.entries(rolePasswords)) {
      const name = pg.escapeIdentifier(role)
      // A login can change its own password and settings, so both are set again at each start.
      await client.query(`alter role ${name} login password ${pg.escapeLiteral(password)};
        alter role ${name} reset all; alter role ${name} in database ${rows[0].db} reset all`)
    }
    await client.query(`revoke all on database ${rows[0].db} from public`)
    await client.query(`grant connect, create on database ${rows[0].db} to bloud_owner`)
    await client.query(
      `grant connect on database ${rows[0].db}
        to bloud_viewer, bloud_operator, bloud_relay, bloud_orchestrator`,
    )
    await client.query('commit')
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error
    throw new MigrationError(
      'roles_missing',
      `This login may not create the roles of the system (${(error as Error).message}). ` +
        'Have an administrator run as superuser: psql -f sql/roles.sql, and grant bloud_owner, bloud_operator, ' +
        'bloud_relay, bloud_orchestrator to this login.',
      { cause: error },
    )
  }
}

async function createRole(client: pg.Client, role: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_catalog.pg_roles where rolname = $1', [role])
  if (!rowCount) await client.query(`create role ${pg.escapeIdentifier(role)} nologin`)
}

/**
 * Creates the PostgreSQL roles but no tables. A backup grants rights to these roles, so it can be restored
 * only if the roles exist.
 * @throws MigrationError
 */
export function createRoles(url: string): Promise<void> {
  return connected(url, async (client) => {
    await refuseReadOnly(client)
    await prepareRoles(client, SQL_DIR, {})
  })
}

export async function knownMigrations(sqlDir = SQL_DIR): Promise<Set<string>> {
  const files = await readdir(join(sqlDir, 'migrations'))
  return new Set(files.filter((file) => file.endsWith('.sql')).map((file) => file.replace(/\.sql$/, '')))
}

/**
 * Returns true if all migrations are applied.
 * @throws MigrationError schema_newer if the database has a migration that this program does not know.
 */
async function isMigrated(client: pg.Client, sqlDir: string): Promise<boolean> {
  const exists = await client.query("select to_regclass('bloud.migrations') is not null as yes")
  if (!exists.rows[0].yes) return false
  const known = await knownMigrations(sqlDir)
  const { rows } = await client.query('select name from bloud.migrations order by id')
  const unknown = rows.map((each) => each.name as string).filter((name) => !known.has(name))
  if (unknown.length === 0) return rows.length === known.size
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
  const { runner } = await import('node-pg-migrate') // loaded only when it is needed, because it takes 0.2 s
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
      noLock: true, // `lockSchema` already holds a lock for the whole migration
      logger: { info: recordFile, warn: () => {}, error: () => {} },
    })
    return done.map((migration) => migration.name)
  } catch (error) {
    throw new MigrationError('migration_failed', `sql/migrations${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
