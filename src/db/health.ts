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
  /** Seconds until the time limit of the status, or null without a limit. */
  seconds_left: z.number().nullable(),
  status_seconds: z.number(),
  integration_config: z.record(z.unknown()),
  entry: z.record(z.unknown()),
})
export type ProbedApp = z.infer<typeof ProbedApp>

const Probed = z.object({
  clockMs: z.number(),
  apps: z.array(ProbedApp),
  /** True if sweep() has something to do. */
  sweepDue: z.boolean(),
  /** Time in ms until sweep() has something to do, or null without an open time limit. */
  sweepMs: z.number().nullable(),
})

/**
 * Returns the apps that are starting, running or unhealthy, because only these apps get health probes. Also
 * returns the clock of the database in ms, read after the apps, and when a time limit ends.
 */
export function probedApps(pool: Pool): Promise<z.infer<typeof Probed>> {
  return oneRow(
    pool,
    Probed,
    fragment`select jsonb_build_object('apps', coalesce(jsonb_agg(to_jsonb(a) order by a.name), '[]'),
      'sweepDue', bloud.is_sweep_due(),
      'sweepMs', (select extract(epoch from min(w.deadline) + interval '5 s' - bloud.clock()) * 1000
        from bloud.apps w where w.status in ('queued', 'starting', 'stopping')),
      'clockMs', extract(epoch from bloud.clock()) * 1000) as row from bloud.probed_apps a`,
  )
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
 * Marks the operation of every app that exceeded its time limit as failed, unless the clock of the database
 * is later than `latestMs`. Returns the number of these apps.
 */
export function sweep(pool: Pool, attempt: number, latestMs: number): Promise<number> {
  return oneRow(
    pool,
    z.number().int(),
    fragment`select to_jsonb(bloud.sweep(${attempt}, to_timestamp(${latestMs / 1000}::float8))) as row`,
  )
}

/** Moves all open deadlines after the clock of the database was set forward by `ms`. */
export async function moveDeadlines(pool: Pool, attempt: number, ms: number): Promise<void> {
  const by = fragment`make_interval(secs => ${ms / 1000}::float8)`
  await rows(
    pool,
    z.unknown(),
    fragment`select '1'::jsonb as row from bloud.move_deadlines(${attempt}, ${by})`,
  )
}
