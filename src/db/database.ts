import pg from 'pg'

const CONNECT_LIMIT_MS = 5_000
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

/** Runs something with a connection of its own. */
export async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS })
  client.on('error', () => {}) // a lost connection is reported by the query that meets it
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
