import pgListen, { type Subscriber } from 'pg-listen'
import { sessionUrl } from './url.ts'

// CommonJS: the function is the default of the default.
const createSubscriber = pgListen.default

/** How often the LISTEN session is asked for a sign of life, and how long it may take to answer. */
const HEARTBEAT_MS = 5_000
const HEARTBEAT_LIMIT_MS = 5_000
const CONNECT_LIMIT_MS = 5_000
/** How long connecting and LISTEN together may take before another attempt is made. */
const ATTEMPT_LIMIT_MS = 10_000
/** Pauses between attempts to come back: short at first, as a restart of PostgreSQL takes a second or two. */
const RETRY_MS = [100, 250, 500, 1_000, 2_000]

export interface ListenerEvents {
  /** A bell rang: look at the tables. */
  onNotification(channel: string): void
  /** LISTEN is in place (again): read from your cursor now, then trust the bells. */
  onListening(): void
  /** The session is lost; it is being brought back. */
  onLost(reason: string): void
}

export interface Listener {
  isListening(): boolean
  close(): Promise<void>
}

/**
 * Keeps one LISTEN session on `channels`, for ever. A half-open connection is noticed within
 * HEARTBEAT_MS + HEARTBEAT_LIMIT_MS. Starts even while the database is away.
 */
export function openListener(
  url: string,
  name: string,
  channels: string[],
  events: ListenerEvents,
): Listener {
  let subscriber: Subscriber | undefined
  let up = false
  let closed = false
  let failures = 0
  let timer: NodeJS.Timeout | undefined

  function setUp(): void {
    failures = 0
    up = true
    events.onListening()
  }

  function setDown(reason: string): void {
    if (up) events.onLost(reason)
    up = false
  }

  /** One subscriber for each attempt: another one takes its place, for ever. */
  function restart(of: Subscriber, reason: string): void {
    if (closed || of !== subscriber) return
    subscriber = undefined
    clearTimeout(timer)
    setDown(reason)
    drop(of)
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
        // None of its own attempts to come back: while they go on, a first connect() that failed may never say so,
        // and close() does not end them (seen: sessions without LISTEN, one for each attempt, and no bell ever).
        retryLimit: 1,
        paranoidChecking: HEARTBEAT_MS,
        parse: (payload) => payload, // bells carry no data; whatever comes is not looked at
      },
    )
    subscriber = next
    timer = setTimeout(() => restart(next, 'no session in time'), ATTEMPT_LIMIT_MS)
    next.events.on('notification', ({ channel }) => next === subscriber && events.onNotification(channel))
    next.events.on('error', (error) => restart(next, error.message))
    listen(next, channels)
      .then(() => {
        if (next !== subscriber || closed) return
        clearTimeout(timer)
        setUp()
      })
      .catch((error: Error) => restart(next, error.message))
  }

  start()
  return {
    isListening: () => up,
    async close() {
      closed = true
      up = false
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
