import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Wakeup } from './wakeup.ts'

/** Progress of the worker, as reported to the process supervisor (systemd). */
export interface ProgressReport {
  /** Reports that the main loop of the worker has completed a round (heartbeat). */
  alive(): void
  /**
   * Reports that the worker has resumed the work of an earlier worker, or that another worker holds the
   * lease.
   */
  recovered(): void
  /** Reports a short description of the current work, which `systemctl status` then shows. */
  phase(text: string): void
}

/** Dependencies and settings of the lease holder, the worker that executes operations. */
export interface Context {
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  /**
   * Fencing token of the lease holder, sent with every write. The database refuses writes with an older
   * fencing token.
   */
  attempt: number
  /**
   * Signal that aborts when the lease is lost or the process stops. Functions then return, but a running
   * switch command continues.
   */
  signal: AbortSignal
  /** Wake-up of the rebuild loop. The loop is woken when operations have changed. */
  work: Wakeup
  /** Upper limit of the duration of a rebuild, in seconds. */
  buildTimeoutSeconds: number
  catalogDir: string
  /** Time in days after which old history and logs are pruned. */
  retentionDays: number
}
