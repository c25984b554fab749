/**
 * The stream's own way to its rows: one session that is kept, one prepared statement, nothing in between. Every commit
 * waits for this on its way to the clients; a pool that checks each row takes longer than the query.
 */
import pg from 'pg'
import type { StreamRow } from '../domain/app.ts'
import { sessionUrl } from './url.ts'

const CONNECT_LIMIT_MS = 5_000
/** By name, so that it is planned once. */
const AFTER = {
  name: 'stream_after',
  text: 'select s.epoch, s.seq, s.app, s.event::text as json from bloud.stream_after($1, $2) s order by s.seq',
}

export interface EventReader {
  /** `bloud.stream_after`. Rejects while the database is away; the next call connects anew. */
  after(seq: number, limit: number): Promise<readonly StreamRow[]>
  end(): Promise<void>
}

/** @param answerLimitMs after which a connection that says nothing is given up. */
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

  /** With a query under way `end` breaks the connection and waits for nobody. */
  function drop(client: pg.Client | undefined): void {
    opening = undefined
    client?.end().catch(() => undefined)
  }

  async function after(seq: number, limit: number): Promise<readonly StreamRow[]> {
    opening ??= connect()
    let client: pg.Client | undefined
    try {
      client = await opening
      // A bigint comes as text.
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
