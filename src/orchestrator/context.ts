import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Wakeup } from './wakeup.ts'

/** Reports the progress of the worker to systemd. */
export interface ProgressReport {
  /** Reports that the main loop of the worker still runs (heartbeat). */
  alive(): void
  /**
   * Reports that the worker has taken over the work of an earlier worker, or that another worker is active.
   */
  recovered(): void
  /** Reports a short description of the current work, for the output of `systemctl status`. */
  phase(text: string): void
}

/** Dependencies and settings of the worker that executes operations. */
export interface Context {
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  /**
   * Fencing token of this worker, which is sent with every write. The database refuses writes with an older
   * token, so a worker that lost the lease can't write.
   */
  attempt: number
  /**
   * Signal that aborts when this worker must stop. Functions then return early, but a running switch command
   * continues.
   */
  signal: AbortSignal
  /** Wakes the loop that executes rebuilds when operations have changed. */
  work: Wakeup
  buildTimeoutSeconds: number
  catalogDir: string
  /** Age in days after which history and logs are deleted. */
  retentionDays: number
}
