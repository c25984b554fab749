/**
 * Schemas of the events of the stream `GET /api/events`, from which `docs/events.schema.json` is generated.
 */
import { z } from 'zod'
import { AppEvent, AppStatus, timestamp } from './app.ts'

/**
 * Event id: the id of the event history (epoch), a dot and the event number (seq). A restored backup gets
 * another epoch.
 */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/)

/** Reason why the stream can't continue after the last event id that a client received. */
const reason = z.enum(['malformed_id', 'unknown_epoch', 'future_id', 'older_than_retention', 'too_slow'])

export const STREAM_EVENTS = {
  /**
   * Statuses of all apps after the event `id`. A client that filters by app receives only the selected apps.
   */
  snapshot: z.object({ id, apps: z.array(AppStatus) }),
  app: AppEvent,
  /**
   * Regular event by which a client detects a lost connection. Contains the id of the newest event and the
   * agent's time.
   */
  heartbeat: z.object({ id, at: timestamp }),
  /**
   * Sent when the response of `GET /api/status` changed although no status changed, for example because an
   * app has a new display name.
   */
  refresh: z.object({}),
  /** Sent when the agent can't read the database. `since` is the time of the first failure. */
  stale: z.object({ since: timestamp }),
  /**
   * Sent when the stream can't continue after the last event id of the client. A `snapshot` event follows.
   */
  reset: z.object({ reason }),
} as const

/**
 * Response of `GET /api/events?after=` to a client that polls for events instead of keeping a stream open.
 */
export const PolledEvents = z.object({ id, events: z.array(AppEvent), reset: reason.optional() })
