/**
 * Sends the events of the history in PostgreSQL to any number of clients. One read per notification fetches
 * the new events, and each event is encoded once into a ring buffer. Each client then gets one throttled
 * write.
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
  /** Upper limits of the ring buffer, in events and in bytes. */
  ringFrames: 8192,
  ringBytes: 8 * 1024 * 1024,
  /** Upper limit of the number of events in one read. */
  readRows: 500,
  /** Number of old events that are read into the ring buffer at the start. */
  warmRows: 2000,
  /**
   * Limits of the interval between two rounds of writes, defined in `ThrottleLimits`. Measured: a round costs
   * 5 to 8 µs per client, nearly all in the kernel. Without these limits, 1,000 clients would keep a core
   * busy at 100 events/s.
   */
  flushMs: 10,
  flushShare: 0.5,
  longestFlushMs: 30,
  /** Interval between two heartbeats to a client, in milliseconds. */
  heartbeatMs: 15_000,
  /** Delay between a change of an app without an event and the event `refresh`, in milliseconds. */
  refreshMs: 100,
  /**
   * Interval between two reads without a notification, in milliseconds. These reads are needed because a
   * notification can be lost.
   */
  tickMs: 5000,
  /** Interval that replaces `tickMs` while reads fail or LISTEN is not established, in milliseconds. */
  degradedTickMs: 1000,
  /**
   * Base of the delay before a failed read is repeated, in milliseconds. The delay is multiplied by 4 for
   * each failure in a row.
   */
  firstRetryMs: 20,
  /** Time in milliseconds after which a client is closed whose connection accepts no data. */
  stuckMs: 15_000,
  /**
   * Upper limit of the duration of one read, in milliseconds. With this limit and `tickMs`, a dead connection
   * is detected within 15 s.
   */
  readLimitMs: 8000,
  /** Delay before a browser reconnects, in milliseconds. A random 0 to 100 % is added. */
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
   * Sends one event `refresh` for all changes within `refreshMs`, because each client may then read all apps
   * again.
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

  /** Adds a client to the stream. The client's events are written to `sink`. */
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
    /** Ends the stream of every client. Clients reconnect by themselves to the next process. */
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
    /**
     * Discards the cached snapshot, because a changed operation can change the allowed controls of an app
     * without an event.
     */
    operationsChanged: snapshots.invalidate,
    /**
     * Sends the event `refresh`, because a display name or the wanted state of an app changed without an
     * event.
     */
    appsChanged,
    setListening: schedule.setListening,
    open,
    poll: createPoll(source, limits.readLimitMs),
    /** Returns a snapshot of all apps as JSON text. The snapshot is at least as new as the call. */
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

/**
 * Returns the functions that the owner of the connection calls. These closures are created outside `open`,
 * because closures in `open` would keep the variables of `open` in memory.
 */
function connectionEventsOf(client: Client, clients: Clients, catchup: Catchup): ConnectionEvents {
  return {
    writable: () => clients.writable(client),
    closed() {
      clients.remove(client)
      catchup.cancel(client)
    },
  }
}
