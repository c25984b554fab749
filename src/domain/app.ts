import { z } from 'zod'
import { STATUSES } from './status.ts'

/** ISO 8601 with offset, as PostgreSQL writes it into JSON. */
export const timestamp = z.string()
const status = z.enum(STATUSES)

/** Why something did not succeed: which phase, which class of failure, one sentence, and what to do. */
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
    /** The last lines of the log that matters here, at most 20. */
    log: z.array(z.string()).optional(),
  })
  .passthrough()
export type Cause = z.infer<typeof Cause>

/** The columns every reader of an app gets, under the names they have in SQL. */
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

/** A row of `bloud.app_status`: the app, and what may be done with it now. */
export const AppStatus = App.extend({
  status_since: timestamp,
  /** How long this phase usually takes, from our own history; null below five samples, and where nothing is waited for. */
  usual: z
    .object({
      p50_seconds: z.number(),
      p90_seconds: z.number(),
      samples: z.number().int(),
      of: z.enum(['this app', 'all apps']),
    })
    .nullable(),
  /** What each finished step of its operation took, in seconds. */
  spent: z.record(z.number()),
  wanted: z.boolean(),
  operation_id: z.number().int().nullable(),
  operation_kind: z.enum(['install', 'uninstall', 'rename']).nullable(),
  operation_state: z.string().nullable(),
  cancel_requested_at: timestamp.nullable(),
  cause: Cause.nullable(),
  /** What its operation could not set up although the app itself could. */
  warnings: z.array(z.string()),
  deadline: timestamp.nullable(),
  queue_position: z.number().int().nullable(),
  required_by: z.array(z.string()),
  /** `tcp`: something else than HTTP; no browser can open it. */
  protocol: z.enum(['http', 'tcp']),
  controls: z.record(Control),
})
export type AppStatus = z.infer<typeof AppStatus>

/** One status move. `to_status` null: the row was deleted; `status` is then the last one it had. */
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

/** A row of `bloud.stream_after`: an `AppEvent` as PostgreSQL writes it, and what is asked of it on its way. */
export const StreamRow = z.object({
  epoch: z.string(),
  seq: z.number().int(),
  app: z.string(),
  json: z.string(),
})
export type StreamRow = z.infer<typeof StreamRow>

/** A row of `bloud.history`: one status move, and for how long the app then stayed. */
export const HistoryRow = z.object({
  seq: z.number().int(),
  at: timestamp,
  app: z.string(),
  from_status: status.nullable(),
  to_status: status.nullable(),
  /** Null for the present one. */
  duration_seconds: z.number().nullable(),
  operation_id: z.number().int().nullable(),
  actor: z.string(),
  origin: z.string(),
  class: z.string().nullable(),
  message: z.string().nullable(),
})
export type HistoryRow = z.infer<typeof HistoryRow>

/** A row of `bloud.catalog`. */
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

/** The stream at one point: its identity, its last number, and all apps at that number. */
export const Snapshot = z.object({ epoch: z.string(), seq: z.number().int(), apps: z.array(AppStatus) })
export type Snapshot = z.infer<typeof Snapshot>

/** Where the stream stands: events up to `oldest` are pruned. */
export const StreamHead = z.object({
  epoch: z.string(),
  seq: z.number().int(),
  oldest: z.number().int(),
})
export type StreamHead = z.infer<typeof StreamHead>
