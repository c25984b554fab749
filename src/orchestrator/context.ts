import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Wakeup } from './wakeup.ts'

/** Reports the state of the orchestrator (worker that executes operations) to systemd. */
export interface ProgressReport {
  /**
   * Reports that the orchestrator still works. Without these reports, the watchdog of systemd restarts the
   * agent.
   */
  alive(): void
  /**
   * Reports that the orchestrator is ready: it has read its work from the database, or another orchestrator
   * is active.
   */
  recovered(): void
  /** Reports a short description of the current work, for the output of `systemctl status`. */
  phase(text: string): void
}

/** Dependencies and settings of the orchestrator (worker that executes operations). */
export interface Context {
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  /**
   * Fencing token (number of the lease) of this orchestrator, which is sent with every write. The database
   * refuses writes with an older token, so an orchestrator that is no longer the active one can't write.
   */
  attempt: number
  /**
   * Signal that aborts when this orchestrator must stop. Functions then return early, but a running switch
   * command (`nixos-rebuild switch`, or switch.ts without NixOS) continues.
   */
  signal: AbortSignal
  /** Wakes the loop that executes operations, for example when an operation was requested. */
  work: Wakeup
  buildTimeoutSeconds: number
  catalogDir: string
  /** Age in days after which history and logs are deleted. */
  retentionDays: number
}
