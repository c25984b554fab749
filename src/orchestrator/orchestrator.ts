import type { Pool } from '../db/pool.ts'
import { hasWork } from '../db/rebuild.ts'
import type { Host, HostProblem } from '../host/index.ts'
import type { Logger } from '../log.ts'
import type { FileLock } from '../system/filelock.ts'
import { configureWanted } from './configuration.ts'
import type { Context, ProgressReport } from './context.ts'
import { createHealth } from './health.ts'
import { createHousekeeping } from './housekeeping.ts'
import { createLeaseTaker, type Lease } from './lease.ts'
import { checkPairing, lockFolder, type Pairing } from './pairing.ts'
import { createProblemLog, type ProblemLog } from './problemlog.ts'
import { runNextRebuild } from './rebuild.ts'
import { createWakeup, type Wakeup } from './wakeup.ts'
import { createWorkerReports } from './workerreport.ts'

/**
 * Interval in ms at which the queued operations are read even without a PostgreSQL notification.
 * Notifications are lost only with the LISTEN session, and the next session reads everything.
 */
const SLOW_TICK_MS = 30_000
/** The same if operations are queued that another transaction has locked, because its end may not notify. */
const LOCKED_TICK_MS = 500
const PAUSE_AFTER_ERROR_MS = 500
/**
 * Interval in ms at which an inactive orchestrator tries to become the active one. A released lease is
 * notified. The lease of a holder without a session is taken within 10 s, at the second try.
 */
const STANDBY_MS = 4_000
/** The same until the session of the predecessor, whose process has ended, has ended too. */
const SUCCESSOR_MS = 200
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
  /** Called after a notification on `channel`, or if any notification may have been lost. */
  notify(channel?: string): void
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
  const refreshWakeup = createWakeup()
  const standbyWakeup = createWakeup()
  let appsChanged = () => {}
  let hostProblem: HostProblem | null = null
  const problems = async () => (hostProblem ? [hostProblem] : ((await options.host.problems?.()) ?? []))
  const reports = createWorkerReports({ pool, host: { problems }, worker, log })
  const takeLease = createLeaseTaker({ pool, log, renew: reports.renewLease })
  let running: Promise<void> | undefined
  let hostStarted = false
  let folderLock: FileLock | null = null
  let predecessorEnded = false
  let standbyReason: string | null = null
  const leaseProblems = createProblemLog(log, 'taking the lease')

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      progress.alive()
      let failed = false
      try {
        const pairing = await checkPairing(pool, options.pairingFile)
        if (pairing.problem !== null) refuse(pairing.problem)
        else await workIfLeaseIsFree(pairing)
        leaseProblems.ended()
      } catch (error) {
        progress.phase('waiting for the database')
        leaseProblems.occurred(error, 'the lease could not be taken')
        failed = true
      }
      const soon = predecessorEnded ? SUCCESSOR_MS : STANDBY_MS
      await standbyWakeup.wait(failed || hostProblem ? PAUSE_AFTER_ERROR_MS : soon, stopping.signal)
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
    const lease = await takeLease({ worker, folder, predecessorEnded })
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
    const healthWakeup = createWakeup()
    const health = createHealth(context, healthWakeup)
    appsChanged = health.appsChanged
    const housekeeping = createHousekeeping(context, refreshWakeup)
    // The first refresh loads the catalog of this program version into the database. Rebuilds (changes of the
    // machine) use the catalog, so they wait for it.
    const firstRefresh = housekeeping.refresh.tick()
    const unwatch = options.host.watchUnits?.(health.unitsChanged)
    const loopOf = (what: string) => ({ signal, problems: createProblemLog(log, what), check: lease.check })
    /** True if the configuration files are up to date. False after the start and after each rebuild. */
    let configured = false
    try {
      await Promise.all([
        repeat(loopOf('the loop of rebuilds'), work, async () => {
          await firstRefresh
          while (!signal.aborted && (await runNextRebuild(context))) configured = false
          if (!signal.aborted && !configured) await configureWanted(context)
          configured = true
          return (await hasWork(pool)) ? LOCKED_TICK_MS : SLOW_TICK_MS
        }),
        // Each task has its own loop, because a rebuild (change of the machine) or a check of a long history
        // can take minutes and must not delay a catalog refresh.
        ...housekeeping.tasks.map(({ tick, wakeup }) =>
          repeat(loopOf('housekeeping'), wakeup, async () => {
            await firstRefresh
            return tick()
          }),
        ),
        repeat(loopOf('the health check'), healthWakeup, () => {
          progress.alive()
          return health.tick()
        }),
      ])
    } finally {
      unwatch?.()
      await lease.release()
    }
  }

  return {
    start() {
      running ??= loop()
    },
    notify(channel) {
      if (channel !== 'bloud_work') appsChanged()
      if (channel === 'bloud') return
      for (const each of [work, refreshWakeup, standbyWakeup]) each.notify()
    },
    async stop() {
      stopping.abort()
      reports.stop()
      await running
      folderLock?.release()
    },
  }
}

interface Loop {
  signal: AbortSignal
  problems: ProblemLog
  /** Called with each error, because the lease may have been lost. */
  check(error: unknown): void
}

/**
 * Calls `round` repeatedly until `signal` aborts. Between two calls, waits for `wakeup`, or for at most the
 * ms that `round` has returned. An error of `round` is logged.
 */
async function repeat(
  { signal, problems, check }: Loop,
  wakeup: Wakeup,
  round: () => Promise<number>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const ms = await round()
      problems.ended()
      await wakeup.wait(ms, signal)
    } catch (error) {
      check(error)
      if (signal.aborted) return
      problems.occurred(error, 'a round of the worker loop failed: retrying')
      await pauseUnless(signal, PAUSE_AFTER_ERROR_MS)
    }
  }
}

async function pauseUnless(signal: AbortSignal, ms: number): Promise<void> {
  await createWakeup().wait(ms, signal)
}
