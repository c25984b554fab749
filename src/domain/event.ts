/**
 * Schemas of the events of the stream `GET /api/events`, from which `docs/events.schema.json` is generated.
 */
import { z } from 'zod'
import { AppEvent, AppStatus, timestamp } from './app.ts'

/** Event id `<epoch>.<seq>`. The epoch changes when the database is restored from a backup. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/)

/** Reason why the stream can't continue after the last event id that a client received. */
const reason = z.enum(['malformed_id', 'unknown_epoch', 'future_id', 'older_than_retention', 'too_slow'])

/** Schemas of the events' data, by event name. */
export const STREAM_EVENTS = {
  /** Statuses of all apps, or of the apps in the client's filter, at event `id`. */
  snapshot: z.object({ id, apps: z.array(AppStatus) }),
  /** Transition of an app's status. */
  app: AppEvent,
  /** Heartbeat with the id of the newest event and the time of the agent's clock. */
  heartbeat: z.object({ id, at: timestamp }),
  /**
   * Notice that the response of `GET /api/status` changed although no status changed, for example because an
   * app has a new display name.
   */
  refresh: z.object({}),
  /** Notice that the agent can't read the database. `since` is the time of the first failure. */
  stale: z.object({ since: timestamp }),
  /**
   * Notice that the stream can't continue after the last event id of the client. A snapshot event follows.
   */
  reset: z.object({ reason }),
} as const

/** Response of `GET /api/events?after=` to a client that polls. */
export const PolledEvents = z.object({ id, events: z.array(AppEvent), reset: reason.optional() })
