import { z } from 'zod'
import { STATUSES } from './status.ts'

/** Time in ISO 8601 format with UTC offset, as in the JSON output of PostgreSQL. */
export const timestamp = z.string()
const status = z.enum(STATUSES)

/** Recorded reason of a failure, with a message and a hint for the operator. */
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
    /** Last lines, at most 20, of the log that shows the failure. */
    log: z.array(z.string()).optional(),
  })
  .passthrough()
export type Cause = z.infer<typeof Cause>

/** Columns of the table `bloud.apps` that the agent reads. The keys are the SQL column names. */
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
 * Row of the view `bloud.app_status`: an app, its current operation, and its controls (actions such as
 * install, each with the information whether it is allowed now).
 */
export const AppStatus = App.extend({
  status_since: timestamp,
  /**
   * Usual duration of the current phase (status) of the app's operation. Null if no operation is in progress,
   * or if fewer than five earlier durations are known.
   */
  usual: z
    .object({
      p50_seconds: z.number(),
      p90_seconds: z.number(),
      samples: z.number().int(),
      of: z.enum(['this app', 'all apps']),
    })
    .nullable(),
  /** Restarts after a crash in the last hour. Null without one. */
  restarts: z
    .object({ count: z.number().int(), exit_code: z.number().int().nullable(), last_at: timestamp })
    .nullable(),
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
  /** Protocol of the app's port. A browser can't open an app that uses plain TCP (`tcp`). */
  protocol: z.enum(['http', 'tcp']),
  controls: z.record(Control),
})
export type AppStatus = z.infer<typeof AppStatus>

/**
 * Event of the history: the status of an app changed. If the app's row was deleted, `to_status` is null and
 * `status` is the last status.
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
 * Row of the SQL function `bloud.stream_after`: an event as JSON text, and the columns that decide which
 * clients receive the event.
 */
export const StreamRow = z.object({
  epoch: z.string(),
  seq: z.number().int(),
  /** Number (seq) of the newest event that was deleted because of its age. */
  pruned_to: z.number().int(),
  app: z.string(),
  json: z.string(),
})
export type StreamRow = z.infer<typeof StreamRow>

/** Row of the view `bloud.history`: a change of an app's status. */
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

/**
 * Row of the view `bloud.catalog`: an app of the catalog. `unavailable` is the reason why this machine can't
 * run the app.
 */
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

/** Statuses of all apps after the event number `seq` of the history with the id `epoch`. */
export const Snapshot = z.object({ epoch: z.string(), seq: z.number().int(), apps: z.array(AppStatus) })
export type Snapshot = z.infer<typeof Snapshot>

/**
 * Id of the event history (epoch) and number of its newest event (seq). All events up to the number `oldest`
 * were deleted because of their age.
 */
export const StreamHead = z.object({
  epoch: z.string(),
  seq: z.number().int(),
  oldest: z.number().int(),
})
export type StreamHead = z.infer<typeof StreamHead>
