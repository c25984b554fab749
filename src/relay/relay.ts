/**
 * The relay: follows the history in PostgreSQL and tells it to any number of clients.
 *
 * doorbell -> tail (one read) -> ring (each event as bytes, once) -> clients (one write each, at the relay's pace)
 */

import { createBacklog } from './backlog.ts'
import { createCatchup } from './catchup.ts'
import { type Client, createClients } from './client.ts'
import type { Head, ResetReason } from './eventid.ts'
import { createFilter } from './filter.ts'
import { heartbeatFrame, refreshFrame, retryFrame, staleFrame } from './frame.ts'
import { createPoll } from './poll.ts'
import { createRing } from './ring.ts'
import { CHUNK_BYTES, type ConnectionEvents, type Sink, send, written } from './sendqueue.ts'
import { createSnapshots } from './snapshot.ts'
import type { RelayLog, StreamSource } from './streamsource.ts'
import { createTail } from './tail.ts'
import { createThrottle } from './throttle.ts'

export const RELAY_LIMITS = {
  ringFrames: 8192,
  ringBytes: 8 * 1024 * 1024,
  /** Rows of one read. */
  pageRows: 500,
  /** Events read into the ring at the start. */
  warmRows: 2000,
  /** Between two rounds of writes, see `PaceLimits`. Measured: 5 to 8 µs for each client of a round, nearly all of it the
   *  kernel's, so a thousand clients would otherwise keep a core busy at 100 events/s. */
  flushMs: 10,
  flushShare: 0.5,
  longestFlushMs: 30,
  heartbeatMs: 15_000,
  /** Between what changes without an event and the word of it. */
  refreshMs: 100,
  /** A look at the database in case a bell was lost. */
  tickMs: 5000,
  /** The same while the database does not answer or no bell can ring. */
  degradedTickMs: 1000,
  /** Before the first try again after a read that failed; those that follow come later and later. */
  firstRetryMs: 20,
  /** How long a client may take nothing. */
  stuckMs: 15_000,
  /** How long one read may take: with the tick, a connection that was swallowed is noticed within 15 s. */
  readLimitMs: 8000,
  /** A browser waits this long before it connects again, and up to as much more, so that not all come at once. */
  retryMs: 1000,
}

export type RelayLimits = typeof RELAY_LIMITS

export interface RelayOptions {
  source: StreamSource
  log: RelayLog
  limits?: Partial<RelayLimits>
}

export type Relay = ReturnType<typeof createRelay>

export function createRelay(options: RelayOptions) {
  const { source, log } = options
  const limits: RelayLimits = { ...RELAY_LIMITS, ...options.limits }
  const ring = createRing({ frames: limits.ringFrames, bytes: limits.ringBytes, batchBytes: CHUNK_BYTES })
  const clients = createClients({
    ring,
    stuckMs: limits.stuckMs,
    onReset: (client) => catchup.start(client),
    onBacklogWritable: (client) => catchup.start(client),
  })
  const tail = createTail({ ...limits, source, ring, log, onEvents: flushSoon, onReset, onFresh, onStale })
  const snapshots = createSnapshots(source, tail, limits.readLimitMs)
  const backlog = createBacklog(source, limits.pageRows, limits.readLimitMs)
  const catchup = createCatchup({ clients, ring, tail, backlog, snapshots, log })
  const throttle = createThrottle(limits)
  const counts = { notifications: 0, connects: 0, resets: 0, stuck: 0 }
  let listening = false
  let lastNotificationAt: number | undefined
  let staleSince: string | undefined = new Date().toISOString()
  let flushTimer: NodeJS.Timeout | undefined
  let tickTimer: NodeJS.Timeout | undefined
  let retryTimer: NodeJS.Timeout | undefined
  let refreshTimer: NodeJS.Timeout | undefined
  let timers: NodeJS.Timeout[] = []
  let stopped = true

  function flush(): void {
    flushTimer = undefined
    const begin = performance.now()
    clients.pumpAll()
    throttle.done(begin, performance.now())
  }

  /** The first event of a quiet stream goes out at once, those that follow at the pace. */
  function flushSoon(): void {
    if (flushTimer) return
    const wait = throttle.wait(performance.now())
    if (wait <= 0) flush()
    else flushTimer = setTimeout(flush, wait)
  }

  function onReset(reason: ResetReason): void {
    counts.resets += 1
    log.warn(
      { reason, head: tail.head },
      'the history is not the one that was followed: all clients start anew',
    )
    backlog.forget()
    snapshots.forget()
    clients.resetAll(reason)
  }

  function onStale(): void {
    if (staleSince) return
    staleSince = new Date().toISOString()
    clients.broadcast(staleFrame(staleSince))
  }

  function onFresh(again: boolean): void {
    staleSince = undefined
    if (again) clients.broadcast(heartbeatFrame(tail.head))
    catchup.startAllWaiting()
  }

  /** A pooled session that was ended by the server fails once, and only shows then: so the first try again is soon. */
  function scheduleRetry(): void {
    if (stopped || retryTimer) return
    const wait = Math.min(limits.firstRetryMs * 4 ** tail.failures, limits.degradedTickMs)
    retryTimer = setTimeout(() => {
      retryTimer = undefined
      attemptRead(tail.sync)
    }, wait)
  }

  function attemptRead(read: () => Promise<void>): void {
    if (!stopped) read().catch(scheduleRetry)
  }

  /** A bell without an event may say that the history has become another one. */
  async function readNotified(): Promise<void> {
    const before = tail.eventsRead
    await tail.read()
    if (tail.eventsRead === before) await tail.sync()
  }

  function tick(): void {
    attemptRead(tail.sync)
    const wait = tail.stale || !listening ? limits.degradedTickMs : limits.tickMs
    tickTimer = setTimeout(tick, wait)
  }

  function sendHeartbeat(): void {
    if (tail.head) clients.sendPositions(tail.head.epoch)
    clients.broadcast(heartbeatFrame(tail.stale ? undefined : tail.head))
  }

  /** Once for all that changes at about the same time: whoever hears it may ask for everything. */
  function appsChanged(): void {
    snapshots.forget()
    refreshTimer ??= setTimeout(() => {
      refreshTimer = undefined
      clients.broadcast(refreshFrame)
    }, limits.refreshMs)
  }

  function closeStuckClients(): void {
    const stuck = clients.closeStuck()
    counts.stuck += stuck
    if (stuck > 0) log.info({ stuck }, 'clients that took nothing were closed')
  }

  function open(sink: Sink, lastId: string | undefined, apps: readonly string[] = []): ConnectionEvents {
    const client: Client = clients.add(sink, lastId, createFilter(apps))
    counts.connects += 1
    send(client.queue, retryFrame(Math.round(limits.retryMs * (1 + Math.random()))))
    if (staleSince) send(client.queue, staleFrame(staleSince))
    catchup.start(client)
    return connectionEventsOf(client)
  }

  /** Apart from `open`, whose locals its closures would keep alive. */
  function connectionEventsOf(client: Client): ConnectionEvents {
    return {
      writable: () => clients.writable(client),
      closed() {
        clients.remove(client)
        catchup.leave(client)
      },
    }
  }

  return {
    start(): void {
      if (!stopped) return
      stopped = false
      timers = [
        setInterval(sendHeartbeat, limits.heartbeatMs),
        setInterval(closeStuckClients, limits.stuckMs / 10),
      ]
      tick()
    },
    /** Ends every stream; clients come back by themselves to whoever is started next. */
    stop(): void {
      stopped = true
      for (const timer of timers) clearInterval(timer)
      clearTimeout(tickTimer)
      clearTimeout(flushTimer)
      clearTimeout(retryTimer)
      clearTimeout(refreshTimer)
      flushTimer = undefined
      clients.endAll()
    },
    /** Something was committed. */
    notified(): void {
      counts.notifications += 1
      lastNotificationAt = Date.now()
      attemptRead(readNotified)
    },
    /** Operations changed, which can change what may be pressed without being an event. */
    operationsChanged: snapshots.forget,
    /** A name, or what is wanted of a request: pages should look. */
    appsChanged,
    /** The bell can (or cannot) ring again; what was rung before is unknown, so look. */
    setListening(now: boolean): void {
      listening = now
      attemptRead(tail.sync)
    },
    open,
    poll: createPoll(source, limits.readLimitMs),
    /** The snapshot as JSON text, as new as the call. */
    status: async () => (await snapshots.fresh()).json,
    get listening() {
      return listening
    },
    get stale() {
      return tail.stale
    },
    get head(): Head | undefined {
      return tail.head
    },
    stats: () => ({
      ...counts,
      bytesSent: written.bytes,
      writes: written.writes,
      eventsRead: tail.eventsRead,
      clients: clients.size,
      waiting: catchup.waiting,
      head: tail.head?.seq ?? 0,
      ringFrames: ring.size,
      ringBytes: ring.bytes,
      lastNotificationAt,
      stale: tail.stale,
      listening,
    }),
  }
}
