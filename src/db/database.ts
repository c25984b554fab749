import pg from 'pg'

const CONNECT_LIMIT_MS = 5_000
/** What is asked here takes milliseconds to a few seconds. */
const ANSWER_LIMIT_MS = 30_000
/** For a goodbye; nobody hears it where the network swallows. */
const END_LIMIT_MS = 2_000
/** duplicate_database: somebody else was quicker. */
const DUPLICATE = '42P04'

/**
 * Creates a database where there is none of that name.
 * @param serverUrl a login that may create databases.
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

/** Why nobody can connect there, or null when it works. */
export async function connectionProblem(url: string): Promise<Error | null> {
  try {
    await connected(url, async () => {})
    return null
  } catch (error) {
    return error as Error
  }
}

/** Nobody answers: the connection was swallowed somewhere, or the server hangs. */
export class NoResponseError extends Error {
  readonly code = 'no_answer'

  constructor(url: string, limitMs: number) {
    super(
      `The database at ${placeOf(url)} has not answered for ${limitMs / 1000} s: is the network to it all right?`,
    )
  }
}

/** Without login and password: this is shown and logged. */
function placeOf(url: string): string {
  try {
    return new URL(url).host || 'a local socket'
  } catch {
    return 'this address'
  }
}

export interface ConnectionOptions {
  /** What pg_stat_activity shows. */
  name?: string
  /** How long one statement may take, as seen from here. Milliseconds. */
  answerLimitMs?: number | undefined
}

/**
 * Runs something with a connection of its own.
 * @throws what `work` throws; an error with code `no_answer` when the database falls silent.
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
  client.on('error', () => {}) // a lost connection is reported by the query that meets it
  let open = false
  try {
    await client.connect()
    open = true
    return await work(client)
  } catch (error) {
    if (!open && says(error, 'timeout expired')) throw new NoResponseError(url, CONNECT_LIMIT_MS)
    if (says(error, 'Query read timeout')) throw new NoResponseError(url, answerLimitMs)
    throw error
  } finally {
    await end(client)
  }
}

/** Whether that is the driver's message, or what `work` made of it. */
const says = (error: unknown, message: string): boolean =>
  error instanceof Error && (error.message === message || says(error.cause, message))

/** Takes an open transaction back. */
async function end(client: pg.Client): Promise<void> {
  const cut = setTimeout(() => client.connection.stream.destroy(), END_LIMIT_MS)
  await client.end().catch(() => {})
  clearTimeout(cut)
}
