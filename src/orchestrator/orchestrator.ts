import { hostname } from 'node:os'
import type { Pool } from '../db/pool.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { Context, ProgressReport } from './context.ts'
import { createHealth, HEALTH_TICK_MS } from './health.ts'
import { createHousekeeping } from './housekeeping.ts'
import { type Lease, takeLease } from './lease.ts'
import { runNextRebuild, configureWanted } from './rebuild.ts'
import { type Wakeup, createWakeup } from './wakeup.ts'

/** A bell may be lost: look at least this often. */
const SLOW_TICK_MS = 2_000
const PAUSE_AFTER_ERROR_MS = 500
/** While another worker leads, ask again this often. */
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
  /** Something changed: look. */
  notify(): void
  /** Lets go of the work and the lease. A switch that is running is left to run. */
  stop(): Promise<void>
}

/** The worker that makes true what the tables ask for. Any number may run; the one with the lease works. */
export function createOrchestrator(options: OrchestratorOptions): Orchestrator {
  const { pool, log, progress } = options
  const worker = `${hostname()}:${process.pid}:${Date.now().toString(36)}`
  const stopping = new AbortController()
  const work = createWakeup()
  const chores = createWakeup()
  let running: Promise<void> | undefined

  async function loop(): Promise<void> {
    let saidStandby = false
    while (!stopping.signal.aborted) {
      progress.alive()
      try {
        const lease = await takeLease(pool, worker, log)
        if (lease) await lead(lease)
        else standBy(saidStandby)
        saidStandby = !lease
      } catch (error) {
        progress.phase('waiting for the database')
        log.warn({ err: error }, 'the lease could not be taken')
      }
      await pauseUnless(stopping.signal, STANDBY_MS)
    }
  }

  function standBy(said: boolean): void {
    if (!said) log.info('another worker leads: standing by')
    progress.phase('standing by: another worker leads')
    progress.recovered()
  }

  async function lead(lease: Lease): Promise<void> {
    const signal = AbortSignal.any([lease.lost, stopping.signal])
    const context: Context = { ...options, attempt: lease.attempt, signal, work }
    log.info({ attempt: lease.attempt, worker }, 'leading')
    const health = createHealth(context)
    const housekeeping = createHousekeeping(context)
    const settledIn = housekeeping.tick() // with the catalog of this version, before anything is built
    /** The configuration is what is wanted, also after a rebuild that failed, or a leader that died. */
    let settled = false
    try {
      await Promise.all([
        repeat(signal, log, work, SLOW_TICK_MS, async () => {
          await settledIn
          while (!signal.aborted && (await runNextRebuild(context))) settled = false
          if (!signal.aborted && !settled) await configureWanted(context)
          settled = true
        }),
        // A rebuild takes minutes; nobody who asks for something else should wait behind it.
        repeat(signal, log, chores, SLOW_TICK_MS, async () => {
          await settledIn
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
      chores.notify()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Does `round` again and again until aborted; an error is logged and costs a pause, never the loop. */
async function repeat(
  signal: AbortSignal,
  log: Logger,
  bell: Wakeup,
  ms: number,
  round: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await round()
      await bell.wait(ms, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, 'a round failed and is tried again')
      await pauseUnless(signal, PAUSE_AFTER_ERROR_MS)
    }
  }
}

async function pauseUnless(signal: AbortSignal, ms: number): Promise<void> {
  await createWakeup().wait(ms, signal)
}
