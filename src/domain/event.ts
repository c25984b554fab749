/** What is told on `GET /api/events`, event by event. `docs/events.schema.json` is made from here. */
import { z } from 'zod'
import { AppEvent, AppStatus, timestamp } from './app.ts'

/** `<epoch>.<seq>`: a place in one history. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}\.(0|[1-9][0-9]{0,14})$/)

/** Why a client cannot be continued from the id it named. */
const reason = z.enum(['malformed_id', 'unknown_epoch', 'future_id', 'older_than_retention', 'too_slow'])

/** The data of each event, by the event's name. */
export const STREAM_EVENTS = {
  /** All apps (or those asked for) at the moment of `id`. */
  snapshot: z.object({ id, apps: z.array(AppStatus) }),
  /** One move of one app. */
  app: AppEvent,
  /** The newest id there is, and the agent's clock. */
  heartbeat: z.object({ id, at: timestamp }),
  /** Something in `GET /api/status` changed that is no move: a name, or a request that is to be cancelled. */
  refresh: z.object({}),
  /** Since when the agent cannot read the history. */
  stale: z.object({ since: timestamp }),
  /** What was asked for cannot be continued; a snapshot follows. */
  reset: z.object({ reason }),
} as const

/** The answer to `GET /api/events?after=`. */
export const PolledEvents = z.object({ id, events: z.array(AppEvent), reset: reason.optional() })
