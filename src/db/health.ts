import { sql } from 'slonik'
import { z } from 'zod'
import type { Cause } from '../domain/app.ts'
import { STATUSES } from '../domain/status.ts'
import { oneRow, type Pool, rows } from './pool.ts'

const fragment = sql.fragment

const ProbedApp = z.object({
  name: z.string(),
  port: z.number().int().nullable(),
  status: z.enum(STATUSES),
  overdue: z.boolean(),
  status_seconds: z.number(),
  integration_config: z.record(z.unknown()),
  entry: z.record(z.unknown()),
})
export type ProbedApp = z.infer<typeof ProbedApp>

/** Returns the apps that are starting, running or unhealthy. Only these apps get health probes. */
export function probedApps(pool: Pool): Promise<readonly ProbedApp[]> {
  return rows(pool, ProbedApp, fragment`select to_jsonb(a) as row from bloud.probed_apps a`)
}

/** Stores the result of a health probe. Returns the status of the app, or null if the app does not exist. */
export function reportHealth(
  pool: Pool,
  attempt: number,
  app: string,
  healthy: boolean,
  cause: Cause | null,
): Promise<string | null> {
  const json = cause && JSON.stringify(cause)
  return oneRow(
    pool,
    z.string().nullable(),
    fragment`select to_jsonb(bloud.report_health(${attempt}, ${app}, ${healthy}, ${json}::jsonb)) as row`,
  )
}

/** Stores restarts after a crash. Returns false if nothing was stored: the app is locked or not running. */
export function reportRestarts(
  pool: Pool,
  attempt: number,
  app: string,
  { series, restarts, exitCode }: { series: string; restarts: number; exitCode: number | null },
  log: string[],
): Promise<boolean> {
  return oneRow(
    pool,
    z.boolean(),
    fragment`select to_jsonb(bloud.report_restarts(${attempt}, ${app}, ${series}, ${restarts}, ${exitCode},
      ${JSON.stringify(log)}::jsonb)) as row`,
  )
}

/**
 * Marks the operation of every app that exceeded its time limit as failed. Returns the number of these apps.
 */
export function sweep(pool: Pool, attempt: number): Promise<number> {
  return oneRow(pool, z.number().int(), fragment`select to_jsonb(bloud.sweep(${attempt})) as row`)
}
