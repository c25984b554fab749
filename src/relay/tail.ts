/**
 * Reads new events into the ring buffer. One read per notification serves all clients. After a failed read,
 * the next round first reads the newest stream position (head).
 */
import { TimeLimitError, timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Head, ResetReason } from './eventid.ts'
import { appFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import type { RelayLog, StreamSource } from './streamsource.ts'

/**
 * Number of failed reads in a row that are tolerated. Only further failures mark the stream as stale,
 * because PostgreSQL may have ended a single idle session of the pool.
 */
const TOLERATED_FAILURES = 1

export interface TailOptions {
  source: StreamSource
  ring: Ring
  log: RelayLog
  /** Upper limit of the number of events in one read. */
  readRows: number
  /**
   * Number of old events that are read into the ring buffer at the start. With these events, clients that
   * reconnect after a restart of the relay need no query.
   */
  warmRows: number
  /** Upper limit of the duration of one read, in milliseconds. */
  readLimitMs: number
  /** Called after new events were added to the ring buffer. */
  onEvents(): void
  /**
   * Called if all clients must be reset, because the history has a new epoch or events were deleted before
   * the relay read them.
   */
  onReset(reason: ResetReason): void
  /** Called after all new events were read. `recovered` is true if the stream was stale before. */
  onFresh(recovered: boolean): void
  /** Called if events cannot be read. */
  onStale(error: unknown): void
}

export type Tail = ReturnType<typeof createTail>

export function createTail(options: TailOptions) {
  const { source, ring } = options
  let head: Head | undefined
  let cursor = 0
  let eventsRead = 0
  let stale = true
  let failures = 0
  /** True if the next round must read the newest stream position (head) before the events. */
  let mustCheckHead = true

  /**
   * Empties the ring buffer, so that the next read begins with the latest `warmRows` events of the history.
   */
  function restartAt(newHead: Head): void {
    cursor = Math.max(newHead.prunedTo, newHead.seq - options.warmRows, 0)
    ring.reset(cursor)
  }

  /**
   * Reads the newest stream position (head) of the history. Resets all clients if the epoch is new or if
   * events were deleted before the relay read them.
   */
  async function checkHead(): Promise<void> {
    mustCheckHead = false
    const newHead = await withTimeout(source.head(), options.readLimitMs, timeLimitError('Reading the head'))
    const oldHead = head
    head = newHead
    if (!oldHead) return restartAt(newHead)
    // If the epoch is the same but the newest seq is lower than before, the newest events were removed. The
    // relay treats this case like a new epoch.
    const replaced = newHead.epoch !== oldHead.epoch || newHead.seq < cursor
    if (!replaced && newHead.prunedTo <= cursor) return
    restartAt(newHead)
    options.onReset(replaced ? 'unknown_epoch' : 'older_than_retention')
  }

  /** Reads all events after the last event that was read, and adds these events to the ring buffer. */
  async function readOn(): Promise<void> {
    for (;;) {
      const read = (source.readLive ?? source.streamAfter)(cursor, options.readRows)
      const events = await withTimeout(read, options.readLimitMs, timeLimitError('Reading events'))
      // If an event has another epoch, the epoch changed after the head was read. The next round then reads
      // the head first.
      if (events.some(({ epoch }) => epoch !== head?.epoch))
        throw new Error('the epoch changed since the head was read')
      // If old events were deleted between the reads of the head and of the events, unread events may be
      // missing. The next round then reads the head again and resets the clients.
      if (events[0] && events[0].pruned_to > cursor) throw new Error('unread events were pruned')
      for (const event of events) {
        ring.push(appFrame(event))
        cursor = event.seq
      }
      eventsRead += events.length
      if (events.length > 0) options.onEvents()
      if (events.length < options.readRows) return
    }
  }

  function markStale(error: unknown): void {
    if (!stale)
      options.log.warn(
        { error: String(error) },
        'events cannot be read; clients are informed that the stream is stale',
      )
    stale = true
    options.onStale(error)
  }

  /**
   * Reads all new events.
   * @throws an error after a failed read. The next round then reads the newest stream position (head) first.
   */
  async function readRound(): Promise<void> {
    try {
      if (mustCheckHead || !head) await checkHead()
      await readOn()
    } catch (error) {
      mustCheckHead = true
      failures += 1
      // A timeout marks the stream as stale at once, because the database is probably unreachable. Any other
      // first failure is tolerated, because PostgreSQL may have ended only a single session.
      if (failures > TOLERATED_FAILURES || error instanceof TimeLimitError) markStale(error)
      throw error
    }
    const recovered = stale
    failures = 0
    stale = false
    options.onFresh(recovered)
  }

  const run = createCoalesced(readRound)

  return {
    /**
     * Reads new events. Resolves when all events that were committed before the call are read. Rejects after
     * a failed read.
     */
    read: run,
    /** Checks the epoch of the history, then reads new events. */
    sync(): Promise<void> {
      mustCheckHead = true
      return run()
    },
    /** Stream position of the newest event. Undefined until the first successful read. */
    get head(): Head | undefined {
      return head && { epoch: head.epoch, seq: Math.max(cursor, ring.head), prunedTo: head.prunedTo }
    },
    /** Number of events read since the process started. */
    get eventsRead() {
      return eventsRead
    },
    /** Number of failed reads in a row. */
    get failures() {
      return failures
    },
    /** True before the first successful read and after failed reads. */
    get stale() {
      return stale
    },
  }
}
