/**
 * The relay: follows the history in PostgreSQL and sends it to any number of clients.
 *
 * notification → tail (one read) → ring (each event encoded once) → clients (one throttled write each)
 */

import { createBacklog } from './backlog.ts'
import { type Catchup, createCatchup } from './catchup.ts'
import { type Client, type Clients, createClients } from './client.ts'
import type { Head, ResetReason } from './eventid.ts'
import { createFilter } from './filter.ts'
import { heartbeatFrame, refreshFrame, retryFrame, staleFrame } from './frame.ts'
import { createPoll } from './poll.ts'
import { createReadSchedule } from './readschedule.ts'
import { createRing } from './ring.ts'
import { CHUNK_BYTES, type ConnectionEvents, type Sink, send, written } from './sendqueue.ts'
import { createSnapshots } from './snapshot.ts'
import type { RelayLog, StreamSource } from './streamsource.ts'
import { createTail } from './tail.ts'
import { createFlush } from './throttle.ts'

export const RELAY_LIMITS = {
  /** Upper limits of the ring, in events and bytes. */
  ringFrames: 8192,
  ringBytes: 8 * 1024 * 1024,
  /** Upper limit of one read in rows. */
  readRows: 500,
  /** Number of old events read into the ring at the start. */
  warmRows: 2000,
  /**
   * Interval between two rounds of writes, explained in `ThrottleLimits`. Measured: a round costs 5 to 8 µs
   * for each client, nearly all of it in the kernel. Without a throttle 1,000 clients would keep a core busy
   * at 100 events/s.
   */
  flushMs: 10,
  flushShare: 0.5,
  longestFlushMs: 30,
  /** Interval between two heartbeats, in milliseconds. */
  heartbeatMs: 15_000,
  /** Delay in milliseconds between a change without an event and the `refresh` for it. */
  refreshMs: 100,
  /**
   * Interval between two reads without a notification, in milliseconds, because a notification can be lost.
   */
  tickMs: 5000,
  /** The same interval while the database does not answer or LISTEN is not active. */
  degradedTickMs: 1000,
  /**
   * Delay before the first attempt after a failed read, in milliseconds; it is multiplied by 4 for each
   * further one.
   */
  firstRetryMs: 20,
  /** Time without progress after which a full client is closed, in milliseconds. */
  stuckMs: 15_000,
  /** Upper limit of one read in milliseconds: with the tick, a dead connection is detected within 15 s. */
  readLimitMs: 8000,
  /** Delay in milliseconds before a browser reconnects, plus a jitter of 0 to 100 %. */
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
  const reactions = { onReset, onFresh, onStale, onEvents: () => flush.soon() }
  const tail = createTail({ ...limits, ...reactions, source, ring, log })
  const snapshots = createSnapshots(source, tail, limits.readLimitMs)
  const backlog = createBacklog(source, limits.readRows, limits.readLimitMs)
  const catchup = createCatchup({ clients, ring, tail, backlog, snapshots, log })
  const schedule = createReadSchedule(tail, limits)
  const flush = createFlush(clients.pumpAll, limits)
  const counts = { notifications: 0, connects: 0, resets: 0, stuck: 0 }
  let lastNotificationAt: number | undefined
  let staleSince: string | undefined = new Date().toISOString()
  let refreshTimer: NodeJS.Timeout | undefined
  let timers: NodeJS.Timeout[] = []
  let stopped = true

  function onReset(reason: ResetReason): void {
    counts.resets += 1
    log.warn(
      { reason, head: tail.head },
      'the history was replaced or pruned: all clients start again with a snapshot',
    )
    backlog.clear()
    snapshots.invalidate()
    clients.resetAll(reason)
  }

  function onStale(): void {
    if (staleSince) return
    staleSince = new Date().toISOString()
    clients.broadcast(staleFrame(staleSince))
  }

  function onFresh(recovered: boolean): void {
    staleSince = undefined
    if (recovered) clients.broadcast(heartbeatFrame(tail.head))
    catchup.startAllWaiting()
  }

  function sendHeartbeat(): void {
    if (tail.head) clients.sendPositions(tail.head.epoch)
    clients.broadcast(heartbeatFrame(tail.stale ? undefined : tail.head))
  }

  /**
   * Sends one `refresh` for all changes within the delay, because each client may then read everything again.
   */
  function appsChanged(): void {
    snapshots.invalidate()
    refreshTimer ??= setTimeout(() => {
      refreshTimer = undefined
      clients.broadcast(refreshFrame)
    }, limits.refreshMs)
  }

  function closeStuckClients(): void {
    const stuck = clients.closeStuck()
    counts.stuck += stuck
    if (stuck > 0) log.info({ stuck }, 'clients that had been full for too long were closed')
  }

  /** Adds a client of the stream. */
  function open(sink: Sink, lastId: string | undefined, apps: readonly string[] = []): ConnectionEvents {
    const client: Client = clients.add(sink, lastId, createFilter(apps))
    counts.connects += 1
    send(client.queue, retryFrame(Math.round(limits.retryMs * (1 + Math.random()))))
    if (staleSince) send(client.queue, staleFrame(staleSince))
    catchup.start(client)
    return connectionEventsOf(client, clients, catchup)
  }

  return {
    start(): void {
      if (!stopped) return
      stopped = false
      timers = [
        setInterval(sendHeartbeat, limits.heartbeatMs),
        setInterval(closeStuckClients, limits.stuckMs / 10),
      ]
      schedule.start()
    },
    /** Ends every stream; clients reconnect by themselves to the next process. */
    stop(): void {
      stopped = true
      for (const timer of timers) clearInterval(timer)
      clearTimeout(refreshTimer)
      schedule.stop()
      flush.stop()
      clients.endAll()
    },
    /** Reads new events, because a transaction with events was committed. */
    notified(): void {
      counts.notifications += 1
      lastNotificationAt = Date.now()
      schedule.notified()
    },
    /** Discards the snapshot, because changed operations can change the allowed controls without an event. */
    operationsChanged: snapshots.invalidate,
    /** Sends `refresh`, because a display name or the wanted state of an app changed without an event. */
    appsChanged,
    setListening: schedule.setListening,
    open,
    poll: createPoll(source, limits.readLimitMs),
    /** Returns the snapshot as JSON text, at least as new as the call. */
    status: async () => (await snapshots.fresh()).json,
    get listening() {
      return schedule.listening
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
      listening: schedule.listening,
    }),
  }
}

/** Separate from `open`, because these closures would keep the locals of `open` in memory. */
function connectionEventsOf(client: Client, clients: Clients, catchup: Catchup): ConnectionEvents {
  return {
    writable: () => clients.writable(client),
    closed() {
      clients.remove(client)
      catchup.cancel(client)
    },
  }
}
