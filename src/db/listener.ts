import pgListen, { type Subscriber } from 'pg-listen'
import { sessionUrl } from './url.ts'

// pg-listen is CommonJS: its function is the `default` property of the default import.
const createSubscriber = pgListen.default

/** Interval between two heartbeat queries on the LISTEN session, in milliseconds. */
const HEARTBEAT_MS = 5_000
/** Upper limit for the answer to a heartbeat query, in milliseconds. */
const HEARTBEAT_LIMIT_MS = 5_000
/** Upper limit for connecting, in milliseconds. */
const CONNECT_LIMIT_MS = 5_000
/** Upper limit for connecting and LISTEN together, in milliseconds; then the next attempt begins. */
const ATTEMPT_LIMIT_MS = 10_000
/** Backoff between attempts, in milliseconds: short at first, because PostgreSQL restarts within 1 to 2 s. */
const RETRY_MS = [100, 250, 500, 1_000, 2_000]

export interface ListenerEvents {
  /** A notification arrived: read the tables. It carries no data. */
  onNotification(channel: string): void
  /** LISTEN is active (again): read from the cursor now, because earlier notifications may be lost. */
  onListening(): void
  /** The session is lost; the listener is already reconnecting. */
  onLost(reason: string): void
}

export interface Listener {
  /** True while the LISTEN session is active. */
  isListening(): boolean
  close(): Promise<void>
}

/**
 * Keeps one LISTEN session on `channels` until `close`. A half-open connection is detected within
 * HEARTBEAT_MS + HEARTBEAT_LIMIT_MS. The database may be unreachable at the start.
 */
export function openListener(
  url: string,
  name: string,
  channels: string[],
  events: ListenerEvents,
): Listener {
  let subscriber: Subscriber | undefined
  let listening = false
  let closed = false
  let failures = 0
  let timer: NodeJS.Timeout | undefined

  function markListening(): void {
    failures = 0
    listening = true
    events.onListening()
  }

  function markLost(reason: string): void {
    if (listening) events.onLost(reason)
    listening = false
  }

  /** Replaces a failed subscriber by a new one after a backoff, without an upper limit of attempts. */
  function restart(failed: Subscriber, reason: string): void {
    if (closed || failed !== subscriber) return
    subscriber = undefined
    clearTimeout(timer)
    markLost(reason)
    drop(failed)
    timer = setTimeout(start, pause(failures++))
  }

  function start(): void {
    const next = createSubscriber(
      {
        connectionString: sessionUrl(url, name),
        connectionTimeoutMillis: CONNECT_LIMIT_MS,
        query_timeout: HEARTBEAT_LIMIT_MS,
      },
      {
        // pg-listen must not retry itself: while it retries, a failed first connect() may never reject, and
        // close() does not stop it (seen: sessions without LISTEN, one for each attempt, and no notification
        // ever).
        retryLimit: 1,
        paranoidChecking: HEARTBEAT_MS,
        parse: (payload) => payload, // notifications carry no data; a payload is ignored
      },
    )
    subscriber = next
    timer = setTimeout(
      () => restart(next, `no LISTEN session within ${ATTEMPT_LIMIT_MS} ms`),
      ATTEMPT_LIMIT_MS,
    )
    next.events.on('notification', ({ channel }) => next === subscriber && events.onNotification(channel))
    next.events.on('error', (error) => restart(next, error.message))
    listen(next, channels)
      .then(() => {
        if (next !== subscriber || closed) return
        clearTimeout(timer)
        markListening()
      })
      .catch((error: Error) => restart(next, error.message))
  }

  start()
  return {
    isListening: () => listening,
    async close() {
      closed = true
      listening = false
      clearTimeout(timer)
      await subscriber?.close().catch(() => {})
    },
  }
}

async function listen(subscriber: Subscriber, channels: string[]): Promise<void> {
  await subscriber.connect()
  for (const channel of channels) await subscriber.listenTo(channel)
}

function pause(attempt: number): number {
  return RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] as number
}

function drop(subscriber: Subscriber): void {
  subscriber.close().catch(() => {})
}
