import { type Logger, pino } from 'pino'

export type { Logger }

/**
 * A logger that writes one JSON object a line to standard output, at once (a process that is killed loses nothing).
 * @param component which part of the agent speaks, for example `relay`.
 */
export function createLogger(component: string, level = 'info'): Logger {
  return pino(
    { level, base: { component, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ sync: true }),
  )
}
