import { sql } from 'slonik'
import { z } from 'zod'
import { type Cause, timestamp } from '../domain/app.ts'
import { Rebuild } from '../domain/operation.ts'
import { STATUSES } from '../domain/status.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

const fragment = sql.fragment

/**
 * SQL expression for a rebuild as JSON, plus the milliseconds until the rebuild's deadline. These are used
 * instead of the time of the deadline, because the clocks of the database and of this process may differ.
 */
const withRemaining = fragment`to_jsonb(r) || jsonb_build_object('remaining_ms',
  round(extract(epoch from r.deadline - bloud.clock()) * 1000))`

const ClaimedRebuild = Rebuild.transform(({ remaining_ms, ...rebuild }) => ({
  ...rebuild,
  /** Deadline of the rebuild in milliseconds, comparable with `performance.now()`. */
  endsAt: performance.now() + remaining_ms,
}))
export type ClaimedRebuild = z.infer<typeof ClaimedRebuild>

/**
 * Returns the active rebuild (one change of the machine for all queued operations), or starts the next
 * rebuild. Returns undefined if there is no work.
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

/** Returns true if a rebuild is open, or if operations wait for one. */
export function hasWork(pool: Pool): Promise<boolean> {
  return oneRow(pool, z.boolean(), fragment`select to_jsonb(bloud.has_work()) as row`)
}

/**
 * Records that the switch command (`nixos-rebuild switch`, or switch.ts without NixOS) starts. Returns
 * the number of its starts in this rebuild.
 * @param generation complete configuration of the machine that is active before the start.
 * @param apps apps with the configurations that become active, recorded for a later rollback.
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

/**
 * Records that the activation of the new configuration begins. The database then refuses to cancel the
 * operations of the rebuild, because an activation can't be stopped.
 */
export async function beginActivation(pool: Pool, attempt: number, rebuild: number): Promise<void> {
  const call = fragment`select null as row from bloud.begin_activation(${attempt}, ${rebuild})`
  await rows(pool, z.unknown(), call)
}

/**
 * Appends output of the switch command (`nixos-rebuild switch`, or switch.ts without NixOS) to the stored
 * log. `from` and `to` are the byte offsets of `lines` in the output.
 * @returns false, without a change, if the stored log does not end at offset `from`.
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
 * Stores the warnings of each app, for example that single sign-on could not be set up for an installed app.
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

export interface Outcome {
  switched: boolean
  exitCode: number | null
  generation: string | null
  /** Recorded reason of the failure of each failed app, by app name. */
  failures: Record<string, Cause>
  /** Recorded reason why all apps without an entry in `failures` failed. Null if these apps did not fail. */
  cause: Cause | null
  /**
   * True if the rebuild failed but the failed app is unknown. The operations are then divided into two
   * smaller rebuilds, to find the failed app.
   */
  split: boolean
}

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

/** Returns the apps that must run after the next rebuild (change of the machine). */
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

/** Returns the installs and uninstalls that the rebuild executes. */
export function operationsOf(pool: Pool, rebuild: number): Promise<readonly RidingOperation[]> {
  return rows(
    pool,
    RebuildOperation,
    fragment`select to_jsonb(o) as row from bloud.operations o
      where o.rebuild_id = ${rebuild} and o.state = 'active' and o.app is not null order by o.id`,
  )
}

/** Returns the last `count` log lines of a rebuild (change of the machine), oldest first. */
export function lastLogLines(pool: Pool, rebuild: number, count: number): Promise<readonly string[]> {
  return rows(
    pool,
    z.string(),
    fragment`select to_jsonb(l.line) as row from (select line_no, line from bloud.rebuild_log
      where rebuild_id = ${rebuild} order by line_no desc limit ${count}) l order by l.line_no`,
  )
}
