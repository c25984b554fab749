/** Events of the stream `GET /api/events`. `docs/events.schema.json` is generated from these schemas. */
import { z } from 'zod'
import { AppEvent, AppStatus, timestamp } from './app.ts'

/** Event id `<epoch>.<seq>`: a position in one history. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/)

/** Reason why the stream can't continue after the client's last event id. */
const reason = z.enum(['malformed_id', 'unknown_epoch', 'future_id', 'older_than_retention', 'too_slow'])

/** Data schema of each event, by the event's name. */
export const STREAM_EVENTS = {
  /** All apps, or those of the client's filter, at position `id`. */
  snapshot: z.object({ id, apps: z.array(AppStatus) }),
  /** One transition of one app. */
  app: AppEvent,
  /** The newest event id, and the agent's time. */
  heartbeat: z.object({ id, at: timestamp }),
  /** `GET /api/status` changed without a transition: a new display name, or a requested cancel. */
  refresh: z.object({}),
  /** The relay has been unable to read the database since this time. */
  stale: z.object({ since: timestamp }),
  /** The stream can't continue after the client's last event id; a snapshot follows. */
  reset: z.object({ reason }),
} as const

/** Response to `GET /api/events?after=`. */
export const PolledEvents = z.object({ id, events: z.array(AppEvent), reset: reason.optional() })
