/**
 * Database reads of the relay. `src/main` implements the interface with PostgreSQL, and tests implement the
 * interface in memory.
 */
import type { Logger } from '../log.ts'
import type { Head, StreamPosition } from './eventid.ts'

export interface StreamEvent extends StreamPosition {
  /** Event number (seq) up to which old events had been deleted when this event was read. */
  pruned_to: number
  app?: string
  /** Event as one line of JSON, as it is sent to clients. */
  json: string
}

export interface Snapshot {
  epoch: string
  seq: number
  apps: readonly object[]
}

/** Newest event that the relay has read. `at` is the time of the event as text, with microseconds. */
export interface KnownEvent extends StreamPosition {
  at: string
}

export interface StreamSource {
  /**
   * Returns the position of the newest event. Its epoch (id of the history) is a new one if `known` is not in
   * the history any more.
   */
  head(known?: KnownEvent): Promise<Head>
  /** Number of connections that `readLive` has opened so far. */
  connections?(): number
  /** Returns true while the session of `readLive` receives the notifications of new events. */
  isListening?(): boolean
  /** Returns at most `limit` events after the event number `seq`, in the order of their numbers. */
  streamAfter(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Returns the same events as `streamAfter`, over a faster connection if there is one. */
  readLive?(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** Returns the status of all apps, and the number (seq) of the newest event that this status includes. */
  snapshot(): Promise<Snapshot>
}

export type RelayLog = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
