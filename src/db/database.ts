import pg from 'pg'

/** Upper limit for connecting, in milliseconds. */
const CONNECT_LIMIT_MS = 5_000
/** Upper limit for one statement, in milliseconds: the statements sent here take at most a few seconds. */
const ANSWER_LIMIT_MS = 30_000
/** Upper limit for a clean disconnect, in milliseconds: a network that drops packets never confirms it. */
const END_LIMIT_MS = 2_000
/** SQLSTATE duplicate_database: another process created the database at the same time. */
const DUPLICATE = '42P04'

/**
 * Creates the database if it does not exist.
 * @param serverUrl URL with a login that may create databases.
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

/** Connects once. Returns the error if that fails, else null. */
export async function connectionProblem(url: string): Promise<Error | null> {
  try {
    await connected(url, async () => {})
    return null
  } catch (error) {
    return error as Error
  }
}

/** The server did not answer in time, because the network drops packets or the server hangs. */
export class NoResponseError extends Error {
  readonly code = 'no_answer'

  constructor(url: string, limitMs: number) {
    super(
      `The database at ${hostOf(url)} has not answered for ${limitMs / 1000} s: check the network and server.`,
    )
  }
}

/** Returns host and port of the URL without login and password, because the message is shown and logged. */
function hostOf(url: string): string {
  try {
    return new URL(url).host || 'a local socket'
  } catch {
    return 'this address'
  }
}

export interface ConnectionOptions {
  /** The application_name in pg_stat_activity. */
  name?: string
  /** Upper limit for one statement in milliseconds, measured by this process. */
  answerLimitMs?: number | undefined
}

/**
 * Opens a connection, passes it to `work` and closes it afterwards.
 * @throws what `work` throws, or an error with code `no_answer` if the database does not answer in time.
 */
export async function connected<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  { name = 'bloud', answerLimitMs = ANSWER_LIMIT_MS }: ConnectionOptions = {},
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: answerLimitMs,
  })
  client.on('error', () => {}) // the next query reports a lost connection
  let open = false
  try {
    await client.connect()
    open = true
    return await work(client)
  } catch (error) {
    if (!open && hasMessage(error, 'timeout expired')) throw new NoResponseError(url, CONNECT_LIMIT_MS)
    if (hasMessage(error, 'Query read timeout')) throw new NoResponseError(url, answerLimitMs)
    throw error
  } finally {
    await end(client)
  }
}

/** Returns true if the error or one of its causes has this message of the driver. */
const hasMessage = (error: unknown, message: string): boolean =>
  error instanceof Error && (error.message === message || hasMessage(error.cause, message))

/** Closes the connection; the server rolls back an open transaction. */
async function end(client: pg.Client): Promise<void> {
  const cut = setTimeout(() => client.connection.stream.destroy(), END_LIMIT_MS)
  await client.end().catch(() => {})
  clearTimeout(cut)
}
