/** Reports to the database that this orchestrator is connected, and why it can't do its work. */
import type { Pool } from '../db/pool.ts'
import { reportWorker } from '../db/readiness.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log.ts'

/**
 * Interval in ms of the reports. The SQL function bloud.readiness() considers an orchestrator as not
 * connected after 15 s without a report.
 */
const REPORT_EVERY_MS = 3_000

export interface WorkerReportOptions {
  pool: Pool
  host: Pick<Host, 'problems'>
  worker: string
  log: Logger
}

export function createWorkerReports({ pool, host, worker, log }: WorkerReportOptions) {
  let timer: NodeJS.Timeout | undefined
  let failed = false

  async function report(): Promise<void> {
    await reportWorker(pool, worker, (await host.problems?.()) ?? [])
  }

  /** Sends one report. An error is only logged, because the next report follows soon. */
  async function send(): Promise<void> {
    try {
      await report()
      failed = false
    } catch (error) {
      if (!failed) log.warn({ err: error }, 'the state of this orchestrator could not be reported')
      failed = true
    }
  }

  return {
    send,
    start(): void {
      timer ??= setInterval(send, REPORT_EVERY_MS)
    },
    stop(): void {
      clearInterval(timer)
      timer = undefined
    },
  }
}
