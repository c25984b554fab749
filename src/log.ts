import { type Logger, pino } from 'pino'

export type { Logger }

/**
 * Creates a logger that writes one JSON object per line to standard output. It writes synchronously, so that
 * a killed process loses no lines.
 * @param component name of the process, for example `relay`.
 */
export function createLogger(component: string, level = 'info'): Logger {
  return pino(
    { level, base: { component, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ sync: true }),
  )
}
