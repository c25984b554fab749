import { z } from 'zod'
import { Cause, timestamp } from './app.ts'

/** One promise to somebody. */
export const Operation = z.object({
  id: z.number().int(),
  /** Null for what is about no single app. */
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

/** One run of the host's switch, with the operations it carries. */
export const Rebuild = z.object({
  id: z.number().int(),
  state: z.enum(['active', 'succeeded', 'failed']),
  phase: z.enum(['configuring', 'building']),
  attempt: z.number().int(),
  run: z.number().int(),
  log_offset: z.number().int(),
  /** Milliseconds until its deadline, by the clock of the database. */
  remaining_ms: z.number(),
  generation_before: z.string().nullable(),
  /** The older generation it goes back to; null: it makes a new one. */
  rolls_back_to: z.string().nullable(),
})
export type Rebuild = z.infer<typeof Rebuild>

/** What a rollback would do: from which generation to which, and which apps it turns off and on. */
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

/** One line of a rebuild's output. */
export const LogLine = z.object({ line_no: z.number().int(), at: timestamp, line: z.string() })
export type LogLine = z.infer<typeof LogLine>
