import { z } from 'zod'
import { STATUSES } from './status.ts'

/** Time in ISO 8601 format with UTC offset, as PostgreSQL writes a time to JSON. */
export const timestamp = z.string()
const status = z.enum(STATUSES)

/** Cause of a failed operation, with a message and a hint for the operator. */
export const Cause = z
  .object({
    class: z.enum([
      'preflight',
      'configure',
      'evaluate',
      'build',
      'activate',
      'health',
      'timeout',
      'cancelled',
      'interrupted',
    ]),
    phase: status.optional(),
    message: z.string(),
    hint: z.string().optional(),
    exit_code: z.number().int().optional(),
    unit: z.string().optional(),
    /** Last lines of the log that shows the failure, at most 20 lines. */
    log: z.array(z.string()).optional(),
  })
  .passthrough()
export type Cause = z.infer<typeof Cause>

/** Columns of `bloud.apps` that every view of an app contains. The keys are the SQL names. */
export const App = z.object({
  id: z.number().int(),
  name: z.string(),
  display_name: z.string(),
  version: z.string(),
  status,
  port: z.number().int().nullable(),
  is_system: z.boolean(),
  integration_config: z.record(z.unknown()),
  installed_at: timestamp.nullable(),
  updated_at: timestamp,
})
export type App = z.infer<typeof App>

const Control = z.object({ allowed: z.boolean(), code: z.string().nullable(), reason: z.string().nullable() })

/**
 * Row of the view `bloud.app_status`: an app, its current operation, and the verbs (install, uninstall …)
 * that are allowed now.
 */
export const AppStatus = App.extend({
  status_since: timestamp,
  /**
   * Usual duration of the current phase of the app's operation. Null if no operation is in progress, or if
   * fewer than five earlier operations are known.
   */
  usual: z
    .object({
      p50_seconds: z.number(),
      p90_seconds: z.number(),
      samples: z.number().int(),
      of: z.enum(['this app', 'all apps']),
    })
    .nullable(),
  /** Duration of each finished phase of the app's operation, in seconds, by phase. */
  step_seconds: z.record(z.number()),
  wanted: z.boolean(),
  operation_id: z.number().int().nullable(),
  operation_kind: z.enum(['install', 'uninstall', 'rename']).nullable(),
  operation_state: z.string().nullable(),
  cancel_requested_at: timestamp.nullable(),
  cause: Cause.nullable(),
  warnings: z.array(z.string()),
  deadline: timestamp.nullable(),
  queue_position: z.number().int().nullable(),
  required_by: z.array(z.string()),
  /** Protocol of the app's port. A browser can't open an app with `tcp`. */
  protocol: z.enum(['http', 'tcp']),
  controls: z.record(Control),
})
export type AppStatus = z.infer<typeof AppStatus>

/**
 * Transition of an app's status, as an event of the history. `to_status` is null if the app's row was
 * deleted, and `status` is then the last status.
 */
export const AppEvent = App.extend({
  seq: z.number().int(),
  app: z.string(),
  from_status: status.nullable(),
  to_status: status.nullable(),
  at: timestamp,
  operation_id: z.number().int().nullable(),
  actor: z.string(),
  origin: z.string(),
  cause: Cause.nullable(),
})
export type AppEvent = z.infer<typeof AppEvent>

/**
 * Row of the function `bloud.stream_after`: an event as JSON text, and the columns that decide which clients
 * receive the event.
 */
export const StreamRow = z.object({
  epoch: z.string(),
  seq: z.number().int(),
  /** Event number (seq) of the newest event that has been deleted because of its age. */
  pruned_to: z.number().int(),
  app: z.string(),
  json: z.string(),
})
export type StreamRow = z.infer<typeof StreamRow>

/** Row of `bloud.history`: a transition of an app to a new status. */
export const HistoryRow = z.object({
  seq: z.number().int(),
  at: timestamp,
  app: z.string(),
  from_status: status.nullable(),
  to_status: status.nullable(),
  /** Time in seconds for which the app kept the new status. Null if the app still has this status. */
  duration_seconds: z.number().nullable(),
  operation_id: z.number().int().nullable(),
  actor: z.string(),
  origin: z.string(),
  class: z.string().nullable(),
  message: z.string().nullable(),
})
export type HistoryRow = z.infer<typeof HistoryRow>

/** Row of `bloud.catalog`: an app that can be installed. */
export const CatalogEntry = z.object({
  name: z.string(),
  display_name: z.string(),
  description: z.string(),
  category: z.string(),
  version: z.string(),
  port: z.number().int().nullable(),
  is_system: z.boolean(),
  unavailable: z.string().nullable(),
  status: status.nullable(),
})
export type CatalogEntry = z.infer<typeof CatalogEntry>

/** Statuses of all apps at one position (epoch and seq) of the event stream. */
export const Snapshot = z.object({ epoch: z.string(), seq: z.number().int(), apps: z.array(AppStatus) })
export type Snapshot = z.infer<typeof Snapshot>

/**
 * Newest position of the event stream (epoch and seq). Events with a seq up to `oldest` have been deleted
 * because of their age.
 */
export const StreamHead = z.object({
  epoch: z.string(),
  seq: z.number().int(),
  oldest: z.number().int(),
})
export type StreamHead = z.infer<typeof StreamHead>
