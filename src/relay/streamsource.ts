/**
 * Interface of the reads that the relay needs from the database. `src/main` implements the reads with
 * PostgreSQL, tests implement the reads in memory.
 */
import type { Logger } from '../log.ts'
import type { Head, StreamPosition } from './eventid.ts'

/**
 * Event of the history. The relay uses only the event's position and, for clients with a filter, the event's
 * app.
 */
export interface StreamEvent extends StreamPosition {
  /** Seq up to which events were pruned when the event was read. */
  pruned_to: number
  app?: string
  /** Event as one line of JSON, exactly as the relay sends the event to clients. */
  json: string
}

export interface Snapshot {
  epoch: string
  seq: number
  apps: readonly object[]
}

export interface StreamSource {
  head(): Promise<Head>
  /** Reads at most `limit` events after `seq`, in the order of seq. */
  streamAfter(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Reads the same events as `streamAfter` over a faster connection, if the source has such a connection. */
  readLive?(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Reads all apps and the seq of the newest event that these apps include, in one consistent query. */
  snapshot(): Promise<Snapshot>
}

/** Functions of a logger that the relay uses. */
export type RelayLog = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
