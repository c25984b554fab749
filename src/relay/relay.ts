/**
 * The relay sends the events that are stored in PostgreSQL to any number of clients. It reads new events once
 * per notification, encodes each event once, and writes all new events to a client at once.
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
  readRows: 500,
  warmRows: 2000,
  /**
   * New events are written to all clients in rounds. `ThrottleLimits` describes these limits of the time
   * between two rounds. Measured: a round takes 5 to 8 µs per client, so without limits, 1,000 clients would
   * use a whole CPU core at 100 events/s.
   */
  flushMs: 10,
  flushShare: 0.5,
  longestFlushMs: 30,
  heartbeatMs: 15_000,
  /** Time in milliseconds for which changes are collected before the event `refresh` is sent. */
  refreshMs: 100,
  /** Times between reads of new events, described in `ReadScheduleLimits`. */
  tickMs: 5000,
  degradedTickMs: 1000,
  firstRetryMs: 20,
  /** Clients are closed if their connection has accepted no data for this time, in milliseconds. */
  stuckMs: 15_000,
  /**
   * Time limit of a read, in milliseconds. A dead database connection is detected within 15 s: after at most
   * `tickMs` until the next read, and then this time limit.
   */
  readLimitMs: 8000,
  /**
   * Time in milliseconds after which a browser reconnects. A random 0 to 100 % is added, so that many
   * browsers do not reconnect at the same moment.
   */
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
  const catchup = createCatchup({ clients, ring, tail, backlog, snapshots, log, onResumed })
  const schedule = createReadSchedule(tail, limits, () => source.isListening?.() ?? true)
  const flush = createFlush(clients.pumpAll, limits)
  const counts = { notifications: 0, connects: 0, resets: 0, stuck: 0 }
  let lastNotificationAt: number | undefined
  let staleSince: string | undefined = new Date().toISOString()
  let readOnly = false
  let refreshTimer: NodeJS.Timeout | undefined
  /** Clients that have resumed. While they were away, others can have been sent the event `refresh`. */
  const resumed = new Set<Client>()
  let resumedTimer: NodeJS.Timeout | undefined
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
    if (!readOnly) {
      staleSince = undefined
      if (recovered) clients.broadcast(heartbeatFrame(tail.head))
    }
    catchup.startAllWaiting()
  }

  /**
   * Records whether the database accepts no changes. The stream is stale meanwhile, because the status of an
   * app can change without an event.
   */
  function setReadOnly(active: boolean): void {
    if (active === readOnly) return
    readOnly = active
    if (active) onStale()
    else if (!tail.stale) onFresh(true)
  }

  const isStale = () => tail.stale || readOnly

  function sendHeartbeat(): void {
    if (tail.head) clients.sendPositions(tail.head.epoch)
    clients.broadcast(heartbeatFrame(isStale() ? undefined : tail.head))
    clients.sendTo(resumed, refreshFrame)
  }

  /**
   * Sends one event `refresh` for all changes within `refreshMs`, because each client may read all apps again
   * after this event.
   */
  function appsChanged(): void {
    snapshots.invalidate()
    refreshTimer ??= setTimeout(() => {
      refreshTimer = undefined
      clients.broadcast(refreshFrame)
    }, limits.refreshMs)
  }

  function sendResumedRefresh(): void {
    resumedTimer = undefined
    clients.sendTo(resumed, refreshFrame)
  }

  function onResumed(client: Client): void {
    resumed.add(client)
    resumedTimer ??= setTimeout(sendResumedRefresh, limits.refreshMs)
  }

  function closeStuckClients(): void {
    const stuck = clients.closeStuck()
    counts.stuck += stuck
    if (stuck > 0) log.info({ stuck }, 'clients that had been full for too long were closed')
  }

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
    /** Ends the streams of all clients. The clients connect again by themselves. */
    stop(): void {
      stopped = true
      for (const timer of timers) clearInterval(timer)
      clearTimeout(refreshTimer)
      clearTimeout(resumedTimer)
      resumed.clear()
      schedule.stop()
      flush.stop()
      clients.endAll()
    },
    notified(): void {
      schedule.notified()
      counts.notifications += 1
      lastNotificationAt = Date.now()
    },
    /** Called when the session that reads the events, and receives their notifications, is lost. */
    readerLost: schedule.readerLost,
    /**
     * Discards the cached snapshot after a change of an operation, because other verbs (install, uninstall …)
     * of an app may then be allowed, even if there is no new event.
     */
    operationsChanged: snapshots.invalidate,
    /** Called after a change of an app that is not recorded as an event, such as a new display name. */
    appsChanged,
    setListening: schedule.setListening,
    setReadOnly,
    open,
    poll: createPoll(source, limits.readLimitMs),
    /** Returns the status of all apps as JSON text, with all changes that were made before the call. */
    status: async () => (await snapshots.fresh()).json,
    get listening() {
      return schedule.listening
    },
    get stale() {
      return isStale()
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
      stale: isStale(),
      listening: schedule.listening,
    }),
  }
}

/**
 * Returns the functions that the HTTP server calls for events of a connection. Closures inside `open` would
 * keep all variables of `open` in memory.
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
