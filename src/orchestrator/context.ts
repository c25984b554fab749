import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Wakeup } from './wakeup.ts'

/** Progress of the worker, as reported to the process supervisor (systemd). */
export interface ProgressReport {
  /** Heartbeat: the main loop has completed one more round. */
  alive(): void
  /** Work left by an earlier worker has been resumed, or another worker holds the lease. */
  recovered(): void
  /** Short description of the current work, for `systemctl status`. */
  phase(text: string): void
}

/** Dependencies and settings of the lease holder. */
export interface Context {
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  /** Fencing token, sent with every write: the database refuses writes of an earlier attempt. */
  attempt: number
  /**
   * Aborted when the lease is lost or the process stops: functions then return and leave the switch running.
   */
  signal: AbortSignal
  /** Wake-up of the rebuild loop, notified when operations have changed. */
  work: Wakeup
  /** Upper limit of one rebuild in seconds. */
  buildTimeoutSeconds: number
  catalogDir: string
  /** Retention of history and logs in days. */
  retentionDays: number
}
