import { type Logger, pino } from 'pino'

export type { Logger }

/**
 * Returns a logger that writes JSON lines to standard output. The logger writes synchronously, so a killed
 * process loses no lines.
 * @param component name of the process, for example `relay`.
 */
export function createLogger(component: string, level = 'info'): Logger {
  return pino(
    { level, base: { component, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ sync: true }),
  )
}
