/** What the relay needs of the database: a few reads. Whoever wires it decides where they come from. */
import type { Head, StreamPosition } from './eventid.ts'

/** One row of the history. The relay looks at nothing but its place, and at the app for who follows only some. */
export interface StreamEvent extends StreamPosition {
  app?: string
  /** The event itself, as it is told: one line of JSON. */
  json: string
}

export interface Snapshot {
  epoch: string
  seq: number
  apps: readonly object[]
}

export interface StreamSource {
  head(): Promise<Head>
  /** Events with a greater number than `seq`, in order, `limit` at most. */
  streamAfter(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** The same for who follows what comes, where there is a quicker way. */
  readLive?(seq: number, limit: number): Promise<readonly StreamEvent[]>
  /** All apps and the event they are as new as, of one consistent look at the database. */
  snapshot(): Promise<Snapshot>
}

/** The part of a logger that the relay uses. */
export interface RelayLog {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}
