import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Wakeup } from './wakeup.ts'

/** For whoever watches over this process. */
export interface ProgressReport {
  /** The main loop has gone round once more. */
  alive(): void
  /** What was left behind by an earlier worker has been found and taken up, or is another's business. */
  recovered(): void
  /** What is being done, in a few words. */
  phase(text: string): void
}

/** What a worker that holds the lease works with. */
export interface Context {
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  /** The fencing token: every write carries it. */
  attempt: number
  /** Aborted when the lease is lost or the process stops: return, and leave the switch to run. */
  signal: AbortSignal
  /** Rung when operations changed. */
  work: Wakeup
  /** Seconds one rebuild may take. */
  buildTimeoutSeconds: number
  catalogDir: string
  /** Days that history and logs are kept. */
  retentionDays: number
}
