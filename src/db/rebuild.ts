import { sql } from 'slonik'
import { z } from 'zod'
import { type Cause, timestamp } from '../domain/app.ts'
import { Rebuild } from '../domain/operation.ts'
import { STATUSES } from '../domain/status.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

const fragment = sql.fragment

/**
 * Adds the remaining milliseconds to a rebuild, because the clocks of the database and this process may
 * differ.
 */
const withRemaining = fragment`to_jsonb(r) || jsonb_build_object('remaining_ms',
  round(extract(epoch from r.deadline - bloud.clock()) * 1000))`

const ClaimedRebuild = Rebuild.transform(({ remaining_ms, ...rebuild }) => ({
  ...rebuild,
  /** Deadline in milliseconds of performance.now(). */
  endsAt: performance.now() + remaining_ms,
}))
export type ClaimedRebuild = z.infer<typeof ClaimedRebuild>

/**
 * Calls `bloud.claim_rebuild`. Returns the active rebuild, else a new one with the queued operations, else
 * undefined.
 */
export function claimRebuild(
  pool: Pool,
  attempt: number,
  deadlineSeconds: number,
): Promise<ClaimedRebuild | undefined> {
  return row(
    pool,
    ClaimedRebuild,
    fragment`select ${withRemaining} as row from bloud.claim_rebuild(${attempt}, ${deadlineSeconds}) r`,
  )
}

/**
 * Calls `bloud.begin_run` and returns the number of the run within the rebuild.
 * @param generation the generation that is active before the run.
 * @param apps the apps as configured for this run.
 */
export function beginRun(
  pool: Pool,
  attempt: number,
  rebuild: number,
  generation: string | null,
  apps?: readonly ConfiguredApp[],
): Promise<number> {
  const desired = apps?.map(({ name, version, port, integration_config }) => {
    return [name, { version, port, integration_config }]
  })
  const json = desired ? JSON.stringify(Object.fromEntries(desired)) : null
  return oneRow(
    pool,
    z.number().int(),
    fragment`select to_jsonb(bloud.begin_run(${attempt}, ${rebuild}, ${generation}, ${json}::jsonb)) as row`,
  )
}

/** Calls `bloud.begin_activation`: from now on the database refuses to cancel. */
export async function beginActivation(pool: Pool, attempt: number, rebuild: number): Promise<void> {
  const call = fragment`select null as row from bloud.begin_activation(${attempt}, ${rebuild})`
  await rows(pool, z.unknown(), call)
}

/**
 * Calls `bloud.append_log` for the lines between two byte offsets of the output.
 * @returns false if the stored log does not end at `from`.
 */
export function appendLog(
  pool: Pool,
  attempt: number,
  rebuild: number,
  from: number,
  to: number,
  lines: string[],
): Promise<boolean> {
  const array = sql.array(lines, 'text')
  return oneRow(
    pool,
    z.boolean(),
    fragment`select to_jsonb(bloud.append_log(${attempt}, ${rebuild}, ${from}, ${to}, ${array})) as row`,
  )
}

/**
 * Calls `bloud.report_warnings` with the parts of each app that failed although the app itself was set up.
 */
export async function reportWarnings(
  pool: Pool,
  attempt: number,
  rebuild: number,
  warnings: Record<string, string[]>,
): Promise<void> {
  const json = JSON.stringify(warnings)
  const call = fragment`select null as row from bloud.report_warnings(${attempt}, ${rebuild}, ${json}::jsonb)`
  await rows(pool, z.unknown(), call)
}

/** Result of a rebuild as observed on the host. */
export interface Outcome {
  switched: boolean
  exitCode: number | null
  generation: string | null
  /** Cause by failed app: only these fail, the other apps continue in the next rebuild. */
  failures: Record<string, Cause>
  /** Cause for all apps that are not in `failures`; null if they do not fail. */
  cause: Cause | null
  /** True if no failed app could be identified: the apps are rebuilt in two halves instead of failing all. */
  split: boolean
}

/** Calls `bloud.end_rebuild`. The remaining operations continue in the rebuild that is claimed next. */
export async function endRebuild(
  pool: Pool,
  attempt: number,
  rebuild: number,
  outcome: Outcome,
): Promise<void> {
  const failures = JSON.stringify(outcome.failures)
  const cause = outcome.cause && JSON.stringify(outcome.cause)
  await rows(
    pool,
    z.unknown(),
    fragment`select null as row from bloud.end_rebuild(${attempt}, ${rebuild}, ${outcome.switched},
      ${outcome.exitCode}, ${outcome.generation}, ${failures}::jsonb, ${cause}::jsonb, ${outcome.split})`,
  )
}

export const ConfiguredApp = z.object({
  name: z.string(),
  version: z.string(),
  port: z.number().int().nullable(),
  integration_config: z.record(z.unknown()),
  entry: z.record(z.unknown()),
})
export type ConfiguredApp = z.infer<typeof ConfiguredApp>
const DesiredApp = ConfiguredApp.extend({ status: z.enum(STATUSES) })
export type DesiredApp = z.infer<typeof DesiredApp>

/**
 * Returns the rows of the view `bloud.desired_apps`: the apps that the host should run after the next
 * rebuild.
 */
export function desiredApps(pool: Pool): Promise<readonly DesiredApp[]> {
  return rows(pool, DesiredApp, fragment`select to_jsonb(a) as row from bloud.desired_apps a`)
}

const RebuildOperation = z.object({
  id: z.number().int(),
  app: z.string(),
  kind: z.enum(['install', 'uninstall']),
  purge: z.boolean(),
  cancel_requested_at: timestamp.nullable(),
})
export type RidingOperation = z.infer<typeof RebuildOperation>

/** Returns the active operations of a rebuild that concern one app each. */
export function operationsOf(pool: Pool, rebuild: number): Promise<readonly RidingOperation[]> {
  return rows(
    pool,
    RebuildOperation,
    fragment`select to_jsonb(o) as row from bloud.operations o
      where o.rebuild_id = ${rebuild} and o.state = 'active' and o.app is not null order by o.id`,
  )
}

/** Returns the last `count` lines of the log of a rebuild, oldest first. */
export function lastLogLines(pool: Pool, rebuild: number, count: number): Promise<readonly string[]> {
  return rows(
    pool,
    z.string(),
    fragment`select to_jsonb(l.line) as row from (select line_no, line from bloud.rebuild_log
      where rebuild_id = ${rebuild} order by line_no desc limit ${count}) l order by l.line_no`,
  )
}
