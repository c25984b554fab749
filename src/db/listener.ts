import pgListen, { type Subscriber } from 'pg-listen'
import { clientConfig } from './clientconfig.ts'
import { sessionUrl } from './url.ts'

// pg-listen is a CommonJS module, so its function is a property of the default import.
const createSubscriber = pgListen.default

/** Interval in milliseconds between two test queries, which detect a lost connection. */
const HEARTBEAT_MS = 5_000
const HEARTBEAT_LIMIT_MS = 5_000
const CONNECT_LIMIT_MS = 5_000
/** Time in milliseconds after which an attempt to connect and to execute LISTEN is abandoned and repeated. */
const ATTEMPT_LIMIT_MS = 10_000
/**
 * Delays in milliseconds before each new attempt to connect. The first delays are short, because a restart of
 * PostgreSQL takes only 1 to 2 s.
 */
const RETRY_MS = [100, 250, 500, 1_000, 2_000]

export interface ListenerEvents {
  /**
   * Called after a notification on `channel`. A notification contains no data, so the callback must read the
   * changed rows.
   */
  onNotification(channel: string): void
  /**
   * Called when the session has executed LISTEN. The callback must then read all changes, because earlier
   * notifications may be lost.
   */
  onListening(): void
  /** Called when the session is lost. The listener then connects again by itself. */
  onLost(reason: string): void
}

export interface Listener {
  isListening(): boolean
  close(): Promise<void>
}

/**
 * Keeps a database session open that receives the PostgreSQL notifications of `channels` (LISTEN), until
 * `close` is called. A lost connection is detected within HEARTBEAT_MS + HEARTBEAT_LIMIT_MS.
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
        ...clientConfig(sessionUrl(url, name)),
        connectionTimeoutMillis: CONNECT_LIMIT_MS,
        query_timeout: HEARTBEAT_LIMIT_MS,
      },
      {
        // pg-listen must not connect again by itself, because its attempts continue after close() and leave
        // sessions that never receive a notification.
        retryLimit: 1,
        paranoidChecking: HEARTBEAT_MS,
        parse: (payload) => payload, // not parsed as JSON, because notifications carry no data
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
