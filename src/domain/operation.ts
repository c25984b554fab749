import { z } from 'zod'
import { Cause, timestamp } from './app.ts'

/**
 * Row of the table `bloud.operations`: a requested action, for example an install or an uninstall of an app.
 */
export const Operation = z.object({
  id: z.number().int(),
  /** Name of the app. Null for an operation without an app, such as a catalog refresh. */
  app: z.string().nullable(),
  kind: z.enum(['install', 'uninstall', 'rename', 'refresh_catalog', 'rollback']),
  state: z.enum(['queued', 'active', 'succeeded', 'failed', 'cancelled', 'superseded']),
  options: z.record(z.unknown()),
  purge: z.boolean(),
  origin: z.enum(['web', 'psql', 'api', 'agent']),
  requested_by: z.string(),
  requested_for: z.number().int().nullable(),
  rebuild_id: z.number().int().nullable(),
  cause: Cause.nullable(),
  warnings: z.array(z.string()),
  requested_at: timestamp,
  started_at: timestamp.nullable(),
  finished_at: timestamp.nullable(),
  cancel_requested_at: timestamp.nullable(),
})
export type Operation = z.infer<typeof Operation>

/** Rebuild (one change of the machine), which executes one or more operations. */
export const Rebuild = z.object({
  id: z.number().int(),
  state: z.enum(['active', 'succeeded', 'failed']),
  phase: z.enum(['configuring', 'building']),
  attempt: z.number().int(),
  run: z.number().int(),
  /** Random end of the ids of the runs. Null before the first run, and for runs of an earlier version. */
  run_key: z.string().nullable(),
  log_offset: z.number().int(),
  /** Time in ms until the deadline of the rebuild, computed with the clock of the database. */
  remaining_ms: z.number(),
  generation_before: z.string().nullable(),
  /**
   * Earlier generation (complete configuration of the machine) that the rebuild activates again. Null if the
   * rebuild is not a rollback.
   */
  rolls_back_to: z.string().nullable(),
})
export type Rebuild = z.infer<typeof Rebuild>

/**
 * Preview of a rollback: the generations (complete configurations of the machine), the apps that would
 * change, and the blockers (reasons why the rollback is refused).
 */
export const RollbackPlan = z.object({
  from: z.string().nullable(),
  to: z.string().nullable(),
  turns_off: z.array(z.string()),
  turns_on: z.array(z.string()),
  blockers: z.array(
    z.object({
      sqlstate: z.string(),
      message: z.string(),
      detail: z.string().nullable(),
      hint: z.string().nullable(),
    }),
  ),
})
export type RollbackPlan = z.infer<typeof RollbackPlan>

export const LogLine = z.object({ line_no: z.number().int(), at: timestamp, line: z.string() })
export type LogLine = z.infer<typeof LogLine>

/** Origin of an HTTP request: `web` for the web page, `api` for any other client. */
export type Origin = 'web' | 'api'
