/** Logs a problem that can occur several times a second, for example during an outage of the database. */
import type { Logger } from '../log.ts'

export interface ProblemLog {
  /** Logs the error as a warning, unless it is the same as before: then at level debug. */
  occurred(error: unknown, message: string): void
  /** Logs that the problem is over, if there was one. */
  ended(): void
}

/** @param task name of the task in the line that is logged at the end of a problem. */
export function createProblemLog(log: Pick<Logger, 'warn' | 'info' | 'debug'>, task: string): ProblemLog {
  let last: string | null = null
  return {
    occurred(error, message) {
      const text = error instanceof Error ? error.message : String(error)
      log[text === last ? 'debug' : 'warn']({ err: error }, message)
      last = text
    },
    ended() {
      if (last !== null) log.info(`${task} works again`)
      last = null
    },
  }
}
