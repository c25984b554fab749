/**
 * Reads new events with a prepared statement over a database session of its own. The connection pool is not
 * used, because its validation of each row takes longer than the query and would delay every event.
 */
import pg from 'pg'
import type { StreamRow } from '../domain/app.ts'
import { clientConfig } from './clientconfig.ts'
import { sessionUrl } from './url.ts'

const CONNECT_LIMIT_MS = 5_000
/**
 * Query for the events after an event number (seq). The name makes it a prepared statement, which PostgreSQL
 * parses only once per session.
 */
const AFTER = {
  name: 'stream_after',
  text: `select s.epoch, s.seq, (select h.pruned_to from bloud.stream h) as pruned_to, s.app, s.event::text as json
    from bloud.stream_after($1, $2) s order by s.seq`,
}

export interface EventReader {
  /** Returns at most `limit` events after `seq`. After a failure, the next call connects again. */
  after(seq: number, limit: number): Promise<readonly StreamRow[]>
  /**
   * Number of connections that were opened so far. A new connection may lead to another server, for example
   * to a promoted standby.
   */
  readonly connections: number
  end(): Promise<void>
}

/**
 * Creates an event reader, which connects to the database at the first read.
 * @param answerLimitMs time in milliseconds without an answer after which the connection is closed.
 */
export function openEventReader(url: string, name: string, answerLimitMs: number): EventReader {
  let opening: Promise<pg.Client> | undefined
  let connections = 0

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({
      ...clientConfig(sessionUrl(url, name)),
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: answerLimitMs,
    })
    client.on('error', () => drop(client))
    await client.connect()
    connections += 1
    return client
  }

  function drop(client: pg.Client | undefined): void {
    opening = undefined
    client?.end().catch(() => undefined)
  }

  async function after(seq: number, limit: number): Promise<readonly StreamRow[]> {
    opening ??= connect()
    let client: pg.Client | undefined
    try {
      client = await opening
      // node-postgres returns a bigint as text, so `seq` and `pruned_to` are converted to numbers.
      const { rows } = await client.query<StreamRow>({ ...AFTER, values: [seq, limit] })
      return rows.map((row) => ({ ...row, seq: Number(row.seq), pruned_to: Number(row.pruned_to) }))
    } catch (error) {
      drop(client)
      throw error
    }
  }

  return {
    after,
    get connections() {
      return connections
    },
    async end() {
      const client = await opening?.catch(() => undefined)
      await client?.end().catch(() => undefined)
    },
  }
}
