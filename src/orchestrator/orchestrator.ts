import type { Pool } from '../db/pool.ts'
import type { Host, HostProblem } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { FileLock } from '../system/filelock.ts'
import { configureWanted } from './configuration.ts'
import type { Context, ProgressReport } from './context.ts'
import { createHealth, HEALTH_TICK_MS } from './health.ts'
import { createHousekeeping } from './housekeeping.ts'
import { type Lease, takeLease } from './lease.ts'
import { checkPairing, lockFolder, type Pairing } from './pairing.ts'
import { createProblemLog, type ProblemLog } from './problemlog.ts'
import { runNextRebuild } from './rebuild.ts'
import { createWakeup, type Wakeup } from './wakeup.ts'
import { createWorkerReports } from './workerreport.ts'

/**
 * Interval in ms at which the queued operations are read even without a PostgreSQL notification, because a
 * notification can be lost.
 */
const SLOW_TICK_MS = 2_000
const PAUSE_AFTER_ERROR_MS = 500
/** Interval in ms at which an inactive orchestrator tries to become the active one. */
const STANDBY_MS = 500
const HOST_HINT = 'Remove the obstacle. The orchestrator tries again twice a second.'

export interface OrchestratorOptions {
  /** Name of this orchestrator, `<host name>:<process id>:<start>`. */
  worker: string
  pool: Pool
  host: Host
  log: Logger
  progress: ProgressReport
  catalogDir: string
  /** Path of the file with the ids of the data folder and of its database. */
  pairingFile: string
  buildTimeoutSeconds: number
  retentionDays: number
}

export interface Orchestrator {
  start(): void
  notify(): void
  /**
   * Stops the orchestrator. A running switch command (`nixos-rebuild switch`, or switch.ts without NixOS)
   * continues, and the next orchestrator waits for its end.
   */
  stop(): Promise<void>
}

/**
 * Creates an orchestrator (worker that executes operations). Of several orchestrators, only the holder of the
 * lease (lock in the database) is active.
 */
export function createOrchestrator(options: OrchestratorOptions): Orchestrator {
  const { pool, log, progress, worker } = options
  const stopping = new AbortController()
  const work = createWakeup()
  const housekeepingWakeup = createWakeup()
  let hostProblem: HostProblem | null = null
  const problems = async () => (hostProblem ? [hostProblem] : ((await options.host.problems?.()) ?? []))
  const reports = createWorkerReports({ pool, host: { problems }, worker, log })
  let running: Promise<void> | undefined
  let hostStarted = false
  let folderLock: FileLock | null = null
  let predecessorEnded = false
  let standbyReason: string | null = null
  const leaseProblems = createProblemLog(log, 'taking the lease')

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      progress.alive()
      try {
        const pairing = await checkPairing(pool, options.pairingFile)
        if (pairing.problem !== null) refuse(pairing.problem)
        else await workIfLeaseIsFree(pairing)
        leaseProblems.ended()
      } catch (error) {
        progress.phase('waiting for the database')
        leaseProblems.occurred(error, 'the lease could not be taken')
      }
      await pauseUnless(stopping.signal, STANDBY_MS)
    }
  }

  async function workIfLeaseIsFree({ folder }: Pairing): Promise<void> {
    reports.start()
    if (!(await startHost())) return
    // The lock proves once that the former orchestrator of this data folder has ended, so its lease need not
    // expire.
    const locked = folderLock ? null : await lockFolder(options.pairingFile)
    folderLock ??= locked
    if (locked) predecessorEnded = true
    const lease = await takeLease(pool, { worker, folder, predecessorEnded }, log)
    if (!lease) return standBy('another worker holds the lease')
    predecessorEnded = false
    standbyReason = null
    await reports.send()
    await workAsLeaseHolder(lease)
  }

  /**
   * Starts the host after the database has accepted the data folder, so that a refused agent runs no app.
   * Returns false and reports the reason if the host can't start.
   */
  async function startHost(): Promise<boolean> {
    try {
      if (!hostStarted) await options.host.start()
      hostStarted = true
      hostProblem = null
      return true
    } catch (error) {
      const sentence = `The apps can't be started: ${(error as Error).message}`
      if (sentence !== hostProblem?.sentence) log.warn({ err: error }, "the host can't be started: retrying")
      hostProblem = { cause: 'host', sentence, hint: HOST_HINT }
      progress.phase(sentence)
      await reports.send()
      return false
    }
  }

  /** The database belongs to another data folder, so this orchestrator does and reports nothing. */
  function refuse(reason: string): void {
    reports.stop()
    standBy(reason)
  }

  function standBy(reason: string): void {
    if (reason !== standbyReason) log.warn(`standing by: ${reason}`)
    standbyReason = reason
    progress.phase(`standing by: ${reason}`)
    progress.recovered()
  }

  async function workAsLeaseHolder(lease: Lease): Promise<void> {
    const signal = AbortSignal.any([lease.lost, stopping.signal])
    const context: Context = { ...options, attempt: lease.attempt, signal, work }
    log.info({ attempt: lease.attempt, worker }, 'lease acquired')
    const health = createHealth(context)
    const housekeeping = createHousekeeping(context)
    // The first housekeeping loads the catalog of this program version into the database. Rebuilds (changes
    // of the machine) use the catalog, so they wait for the first housekeeping.
    const firstHousekeeping = housekeeping.tick()
    /** True if the configuration files are up to date. False after the start and after each rebuild. */
    let configured = false
    try {
      await Promise.all([
        repeat(signal, createProblemLog(log, 'the loop of rebuilds'), work, SLOW_TICK_MS, async () => {
          await firstHousekeeping
          while (!signal.aborted && (await runNextRebuild(context))) configured = false
          if (!signal.aborted && !configured) await configureWanted(context)
          configured = true
        }),
        // Housekeeping has its own loop, because a rebuild (change of the machine) can take minutes and must
        // not delay a catalog refresh.
        repeat(signal, createProblemLog(log, 'housekeeping'), housekeepingWakeup, SLOW_TICK_MS, async () => {
          await firstHousekeeping
          await housekeeping.tick()
        }),
        repeat(signal, createProblemLog(log, 'the health check'), createWakeup(), HEALTH_TICK_MS, () => {
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
      reports.stop()
      await running
      folderLock?.release()
    },
  }
}

/**
 * Calls `round` repeatedly until `signal` aborts. Between two calls, waits for `wakeup` or at most `ms`
 * milliseconds. An error of `round` is logged.
 */
async function repeat(
  signal: AbortSignal,
  problems: ProblemLog,
  wakeup: Wakeup,
  ms: number,
  round: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await round()
      problems.ended()
      await wakeup.wait(ms, signal)
    } catch (error) {
      if (signal.aborted) return
      problems.occurred(error, 'a round of the worker loop failed: retrying')
      await pauseUnless(signal, PAUSE_AFTER_ERROR_MS)
    }
  }
}

async function pauseUnless(signal: AbortSignal, ms: number): Promise<void> {
  await createWakeup().wait(ms, signal)
}
