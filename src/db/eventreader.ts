/**
 * Reads the rows of the stream over one permanent session with one prepared statement. It bypasses the pool,
 * because every event is delayed by this read, and a pool that validates each row takes longer than the query
 * itself.
 */
import pg from 'pg'
import type { StreamRow } from '../domain/app.ts'
import { sessionUrl } from './url.ts'

/** Upper limit for connecting, in milliseconds. */
const CONNECT_LIMIT_MS = 5_000
/** Prepared statement: it has a name, so that PostgreSQL parses it once per session. */
const AFTER = {
  name: 'stream_after',
  text: `select s.epoch, s.seq, s.app, s.event::text as json
    from bloud.stream_after($1, $2) s order by s.seq`,
}

export interface EventReader {
  /** Calls `bloud.stream_after`. Rejects while the database is unreachable; the next call connects again. */
  after(seq: number, limit: number): Promise<readonly StreamRow[]>
  end(): Promise<void>
}

/**
 * Opens no connection until the first read.
 * @param answerLimitMs milliseconds without an answer after which the connection is dropped.
 */
export function openEventReader(url: string, name: string, answerLimitMs: number): EventReader {
  let opening: Promise<pg.Client> | undefined

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: sessionUrl(url, name),
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: answerLimitMs,
    })
    client.on('error', () => drop(client))
    await client.connect()
    return client
  }

  /**
   * Closes the session. While a query is running, `end` destroys the socket without waiting for the server.
   */
  function drop(client: pg.Client | undefined): void {
    opening = undefined
    client?.end().catch(() => undefined)
  }

  async function after(seq: number, limit: number): Promise<readonly StreamRow[]> {
    opening ??= connect()
    let client: pg.Client | undefined
    try {
      client = await opening
      // node-postgres returns a bigint as text.
      const { rows } = await client.query<StreamRow>({ ...AFTER, values: [seq, limit] })
      return rows.map((row) => ({ ...row, seq: Number(row.seq) }))
    } catch (error) {
      drop(client)
      throw error
    }
  }

  return {
    after,
    async end() {
      const client = await opening?.catch(() => undefined)
      await client?.end().catch(() => undefined)
    },
  }
}
