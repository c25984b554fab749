/**
 * Interface of the reads that the relay needs from the database. `src/main` implements the interface with
 * PostgreSQL; tests implement the interface in memory.
 */
import type { Logger } from '../log.ts'
import type { Head, StreamPosition } from './eventid.ts'

/**
 * Event of the history. The relay uses only the stream position of the event and, for clients with a filter,
 * the app of the event.
 */
export interface StreamEvent extends StreamPosition {
  /** Event number (seq) up to which old events were already deleted when this event was read. */
  pruned_to: number
  app?: string
  /** Event as one line of JSON, in the form in which clients receive the event. */
  json: string
}

export interface Snapshot {
  epoch: string
  seq: number
  apps: readonly object[]
}

export interface StreamSource {
  head(): Promise<Head>
  /** Reads at most `limit` events with a number (seq) greater than `seq`, in the order of seq. */
  streamAfter(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Reads the same events as `streamAfter` over a faster connection, if the source has such a connection. */
  readLive?(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Reads all apps and the seq of the newest event that these apps include, in one consistent query. */
  snapshot(): Promise<Snapshot>
}

/** Functions of a logger that the relay uses. */
export type RelayLog = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
