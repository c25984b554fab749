/**
 * Reads that the relay needs from the database. `src/main` provides them, so that tests can use a source in
 * memory.
 */
import type { Head, StreamPosition } from './eventid.ts'

/** One row of the history. The relay only uses its position, and its app for clients with a filter. */
export interface StreamEvent extends StreamPosition {
  app?: string
  /** The event as it is sent: one line of JSON. */
  json: string
}

export interface Snapshot {
  epoch: string
  seq: number
  apps: readonly object[]
}

export interface StreamSource {
  head(): Promise<Head>
  /** Reads at most `limit` events after `seq`, in order. */
  streamAfter(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Same as `streamAfter`, for the tail, if the source has a faster connection for it. */
  readLive?(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Reads all apps and the seq of the newest event they include, in one consistent query. */
  snapshot(): Promise<Snapshot>
}

/** The part of a logger that the relay uses. */
export interface RelayLog {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}
