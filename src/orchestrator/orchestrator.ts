import { hostname } from 'node:os'
import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Context, ProgressReport } from './context.ts'
import { createHealth, HEALTH_TICK_MS } from './health.ts'
import { createHousekeeping } from './housekeeping.ts'
import { type Lease, takeLease } from './lease.ts'
import { configureWanted, runNextRebuild } from './rebuild.ts'
import { createWakeup, type Wakeup } from './wakeup.ts'

/**
 * Upper limit of the time between two reads of the operations in the database, in ms. Operations are also
 * read without a PostgreSQL notification, because a notification may be lost.
 */
const SLOW_TICK_MS = 2_000
/** Pause of a worker loop after an error, in ms. */
const PAUSE_AFTER_ERROR_MS = 500
/** Interval between two attempts to take the lease, in ms. */
const STANDBY_MS = 500

export interface OrchestratorOptions {
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  catalogDir: string
  buildTimeoutSeconds: number
  retentionDays: number
}

export interface Orchestrator {
  start(): void
  /** Wakes the rebuild and housekeeping loops. Called when operations may have changed. */
  notify(): void
  /** Stops the worker and releases the lease. A running switch command is not stopped. */
  stop(): Promise<void>
}

/**
 * Creates a worker that executes the operations of the database. Several workers may run, but only the lease
 * holder executes operations.
 */
export function createOrchestrator(options: OrchestratorOptions): Orchestrator {
  const { pool, log, progress } = options
  const worker = `${hostname()}:${process.pid}:${Date.now().toString(36)}`
  const stopping = new AbortController()
  const work = createWakeup()
  const housekeepingWakeup = createWakeup()
  let running: Promise<void> | undefined

  async function loop(): Promise<void> {
    let standbyLogged = false
    while (!stopping.signal.aborted) {
      progress.alive()
      try {
        const lease = await takeLease(pool, worker, log)
        if (lease) await workAsLeaseHolder(lease)
        else standBy(standbyLogged)
        standbyLogged = !lease
      } catch (error) {
        progress.phase('waiting for the database')
        log.warn({ err: error }, 'the lease could not be taken')
      }
      await pauseUnless(stopping.signal, STANDBY_MS)
    }
  }

  function standBy(logged: boolean): void {
    if (!logged) log.info('another worker holds the lease: standing by')
    progress.phase('standing by: another worker holds the lease')
    progress.recovered()
  }

  async function workAsLeaseHolder(lease: Lease): Promise<void> {
    const signal = AbortSignal.any([lease.lost, stopping.signal])
    const context: Context = { ...options, attempt: lease.attempt, signal, work }
    log.info({ attempt: lease.attempt, worker }, 'lease acquired')
    const health = createHealth(context)
    const housekeeping = createHousekeeping(context)
    // The first housekeeping loads the catalog of this program version. Rebuilds wait for the first
    // housekeeping, because rebuilds use the catalog.
    const firstHousekeeping = housekeeping.tick()
    /**
     * True after the configuration of the wanted apps has been written. Initially false, because an earlier
     * worker may have died before it wrote the configuration.
     */
    let configured = false
    try {
      await Promise.all([
        repeat(signal, log, work, SLOW_TICK_MS, async () => {
          await firstHousekeeping
          while (!signal.aborted && (await runNextRebuild(context))) configured = false
          if (!signal.aborted && !configured) await configureWanted(context)
          configured = true
        }),
        // Housekeeping runs concurrently with rebuilds, because a catalog refresh must not wait minutes for
        // the end of a rebuild.
        repeat(signal, log, housekeepingWakeup, SLOW_TICK_MS, async () => {
          await firstHousekeeping
          await housekeeping.tick()
        }),
        repeat(signal, log, createWakeup(), HEALTH_TICK_MS, () => {
          progress.alive()
          return health.tick()
        }),
      ])
    } finally {
      await lease.release()
    }
  }

  return {
    start() {
      running ??= loop()
    },
    notify() {
      work.notify()
      housekeepingWakeup.notify()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/**
 * Calls `round` repeatedly until `signal` aborts. Waits for `wakeup`, or at most `ms` milliseconds, between
 * two calls. An error of `round` is logged and does not end the loop.
 */
async function repeat(
  signal: AbortSignal,
  log: Logger,
  wakeup: Wakeup,
  ms: number,
  round: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await round()
      await wakeup.wait(ms, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, 'a round of the worker loop failed: retrying')
      await pauseUnless(signal, PAUSE_AFTER_ERROR_MS)
    }
  }
}

/** Waits `ms` milliseconds, or until `signal` aborts. */
async function pauseUnless(signal: AbortSignal, ms: number): Promise<void> {
  await createWakeup().wait(ms, signal)
}
