import pg from 'pg'
import { clientConfig } from './clientconfig.ts'
import { explained } from './explanation.ts'

const CONNECT_LIMIT_MS = 5_000
/** Default upper limit of the wait for the result of an SQL statement, in milliseconds. */
const ANSWER_LIMIT_MS = 30_000
/**
 * Time in milliseconds for which a disconnect waits for the confirmation of the server. The confirmation
 * never arrives if the network drops packets.
 */
const END_LIMIT_MS = 2_000
/**
 * SQLSTATE `duplicate_database`, which occurs if another process creates the same database at the same time.
 */
const DUPLICATE = '42P04'

/**
 * Creates the database `name` if the server has no database with this name.
 * @param serverUrl URL of the server, with a login that may create databases.
 */
export async function ensureDatabase(serverUrl: string, name: string): Promise<void> {
  await connected(serverUrl, async (client) => {
    const { rowCount } = await client.query('select from pg_catalog.pg_database where datname = $1', [name])
    if (rowCount) return
    await client.query(`create database ${pg.escapeIdentifier(name)}`).catch((error: { code?: string }) => {
      if (error.code !== DUPLICATE) throw error
    })
  })
}

/** Returns null if a connection to the database succeeds, or else the error of the connection. */
export async function connectionProblem(url: string): Promise<Error | null> {
  try {
    await connected(url, async () => {})
    return null
  } catch (error) {
    return error as Error
  }
}

/**
 * Returns a warning if the login may do more than the agent needs. A session of the relay (HTTP server) can
 * give back the role that it has assumed, and then has all rights of its login.
 */
export async function rightsWarning(url: string): Promise<string | null> {
  const { rows } = await connected(url, (client) =>
    client.query(`select rolname as login, rolsuper as is_super, rolcreaterole as creates_roles
      from pg_catalog.pg_roles where rolname = session_user`),
  )
  const { login, is_super: isSuper, creates_roles: createsRoles } = rows[0] ?? {}
  if (!isSuper && !createsRoles) return null
  return (
    `The login ${login} of DATABASE_URL ${isSuper ? 'is a superuser' : 'may create roles'}, and the server of ` +
    'the page uses it too. Give DATABASE_URL a login without such rights: ' +
    "create role bloud_agent login password '…'; " +
    'grant bloud_owner, bloud_operator, bloud_relay, bloud_orchestrator to bloud_agent;'
  )
}

export class NoResponseError extends Error {
  readonly code = 'no_answer'

  constructor(url: string, limitMs: number) {
    super(
      `The database at ${hostOf(url)} has not answered for ${limitMs / 1000} s: check the network and server.`,
    )
  }
}

/**
 * Returns host and port of the database URL for an error message. Login and password are left out, because
 * error messages are logged.
 */
function hostOf(url: string): string {
  try {
    return new URL(url).host || 'a local socket'
  } catch {
    return 'this address'
  }
}

export interface ConnectionOptions {
  /** Session name that PostgreSQL shows as `application_name` in pg_stat_activity. */
  name?: string
  answerLimitMs?: number | undefined
}

/**
 * Opens a database connection, calls `work` with the connection, and closes the connection.
 * @throws the error of `work`, or NoResponseError if the database does not answer in time.
 */
export async function connected<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  { name = 'bloud', answerLimitMs = ANSWER_LIMIT_MS }: ConnectionOptions = {},
): Promise<T> {
  const client = new pg.Client({
    ...clientConfig(url),
    application_name: name,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: answerLimitMs,
  })
  client.on('error', () => {}) // ignored, because the next query reports a lost connection
  let open = false
  try {
    await client.connect()
    open = true
    return await work(client)
  } catch (error) {
    if (!open && hasMessage(error, 'timeout expired')) throw new NoResponseError(url, CONNECT_LIMIT_MS)
    if (hasMessage(error, 'Query read timeout')) throw new NoResponseError(url, answerLimitMs)
    throw open ? error : explained(error)
  } finally {
    await end(client)
  }
}

const hasMessage = (error: unknown, message: string): boolean =>
  error instanceof Error && (error.message === message || hasMessage(error.cause, message))

async function end(client: pg.Client): Promise<void> {
  const cut = setTimeout(() => client.connection.stream.destroy(), END_LIMIT_MS)
  await client.end().catch(() => {})
  clearTimeout(cut)
}

/**
 * Returns true if the login of the URL has the rights of the PostgreSQL role, but may not assume the role, as
 * a login that was granted the role `with inherit true, set false`.
 */
export function onlyInherits(url: string, role: string): Promise<boolean> {
  // Before PostgreSQL 16, each member of a role may assume the role.
  const question = `
    select case when current_setting('server_version_num')::integer >= 160000
      then pg_has_role(current_user, $1, 'usage') and not pg_has_role(current_user, $1, 'set')
      else false end as yes`
  return connected(url, async (client) => (await client.query(question, [role])).rows[0].yes)
}
