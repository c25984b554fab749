/** Reports to the database that this orchestrator is connected, and why it can't do its work. */
import { renewLease } from '../db/lease.ts'
import type { Pool } from '../db/pool.ts'
import { reportWorker } from '../db/readiness.ts'
import type { WorkerProblem } from '../domain/readiness.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'

/** Interval in ms at which the host is asked for its problems. A change is reported at once. */
const CHECK_EVERY_MS = 3_000
/**
 * Interval in ms of the reports of an orchestrator without the lease. The holder of the lease reports at each
 * renewal. The SQL function bloud.readiness() misses a report after 75 s.
 */
const REPORT_EVERY_MS = 25_000

export interface WorkerReportOptions {
  pool: Pool
  host: Pick<Host, 'problems'>
  worker: string
  log: Logger
}

export function createWorkerReports({ pool, host, worker, log }: WorkerReportOptions) {
  let timer: NodeJS.Timeout | undefined
  let failed = false
  let reported: string | undefined
  let reportedAt = Number.NEGATIVE_INFINITY
  /** Problems that the host had when it was asked last. */
  let known: readonly WorkerProblem[] = []

  function noteReport(problems: readonly WorkerProblem[]): void {
    reported = JSON.stringify(problems)
    reportedAt = performance.now()
    failed = false
  }

  /** Sends one report. An error is only logged, because the next report follows soon. */
  async function send(): Promise<void> {
    try {
      known = (await host.problems?.()) ?? []
      await reportWorker(pool, worker, known)
      noteReport(known)
    } catch (error) {
      if (!failed) log.warn({ err: error }, 'the state of this orchestrator could not be reported')
      failed = true
      reported = undefined
    }
  }

  async function sendIfNew(): Promise<void> {
    const problems = await Promise.resolve(host.problems?.()).catch(() => undefined)
    const isDue = performance.now() - reportedAt > REPORT_EVERY_MS * 1.2
    if (isDue || JSON.stringify(problems ?? []) !== reported) await send()
  }

  /** Renews the lease and reports the known problems, because a renewal must not wait for the host. */
  async function renew(attempt: number, seconds: number): Promise<void> {
    const problems = known
    await renewLease(pool, attempt, seconds, { worker, problems })
    noteReport(problems)
  }

  return {
    send,
    renewLease: renew,
    start(): void {
      timer ??= setInterval(() => void sendIfNew(), CHECK_EVERY_MS)
    },
    stop(): void {
      clearInterval(timer)
      timer = undefined
    },
  }
}
