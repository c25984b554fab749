/**
 * Schemas of the events of the stream `GET /api/events`. `docs/events.schema.json` is generated from these
 * schemas.
 */
import { z } from 'zod'
import { AppEvent, AppStatus, timestamp } from './app.ts'

/** Event id `<epoch>.<seq>`. The epoch identifies a history, and the seq is a position in that history. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/)

/** Reason why the stream can't continue after the last event id of a client. */
const reason = z.enum(['malformed_id', 'unknown_epoch', 'future_id', 'older_than_retention', 'too_slow'])

/** Schemas of the data of stream events, by event name. */
export const STREAM_EVENTS = {
  /** Snapshot of all apps, or of the apps of the client's filter, at stream position `id`. */
  snapshot: z.object({ id, apps: z.array(AppStatus) }),
  /** Transition of an app's status. */
  app: AppEvent,
  /** Heartbeat with the newest event id and the agent's time. */
  heartbeat: z.object({ id, at: timestamp }),
  /**
   * Notice that the response of `GET /api/status` changed although no app changed its status. An example is a
   * new display name of an app.
   */
  refresh: z.object({}),
  /** Notice that the relay can't read the database. `since` is the time of the first failure. */
  stale: z.object({ since: timestamp }),
  /** Notice that the stream can't continue after the client's last event id. A snapshot follows. */
  reset: z.object({ reason }),
} as const

/** Response to a polling client, `GET /api/events?after=`. */
export const PolledEvents = z.object({ id, events: z.array(AppEvent), reset: reason.optional() })
