/** Reads new events into the ring buffer, from which all clients get the events. */
import { TimeLimitError, timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Head, ResetReason } from './eventid.ts'
import { appFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import type { RelayLog, StreamSource } from './streamsource.ts'

/**
 * Number of failed reads in a row that are tolerated, because PostgreSQL may have ended a single idle
 * session. Further failures mark the stream as stale.
 */
const TOLERATED_FAILURES = 1

export interface TailOptions {
  source: StreamSource
  ring: Ring
  log: RelayLog
  /** Upper limit of the number of events in one query. */
  readRows: number
  /**
   * Number of old events that are read into the ring buffer at the start. Clients that reconnect after a
   * restart of the relay then need no query.
   */
  warmRows: number
  /** Upper limit of the duration of a read, in milliseconds. */
  readLimitMs: number
  onEvents(): void
  /**
   * Called if the history was replaced, or if events were deleted before the relay read them. All clients
   * must then be reset.
   */
  onReset(reason: ResetReason): void
  /** Called after all new events were read. `recovered` is true if events could not be read before. */
  onFresh(recovered: boolean): void
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
  /** True if the position of the newest event (head) must be read before the next events. */
  let mustCheckHead = true

  /** Empties the ring buffer, so that the next read begins with the latest `warmRows` events. */
  function restartAt(newHead: Head): void {
    cursor = Math.max(newHead.prunedTo, newHead.seq - options.warmRows, 0)
    ring.reset(cursor)
  }

  /**
   * Reads the position of the newest event (head). Resets all clients if the history was replaced or if
   * events were deleted before the relay read them.
   */
  async function checkHead(): Promise<void> {
    mustCheckHead = false
    const newHead = await withTimeout(source.head(), options.readLimitMs, timeLimitError('Reading the head'))
    const oldHead = head
    head = newHead
    if (!oldHead) return restartAt(newHead)
    // A lower newest seq means that the newest events were removed. The relay treats this case like a
    // replaced history.
    const replaced = newHead.epoch !== oldHead.epoch || newHead.seq < cursor
    if (!replaced && newHead.prunedTo <= cursor) return
    restartAt(newHead)
    options.onReset(replaced ? 'unknown_epoch' : 'older_than_retention')
  }

  /** Reads all events after the last read event into the ring buffer. */
  async function readOn(): Promise<void> {
    for (;;) {
      const read = (source.readLive ?? source.streamAfter)(cursor, options.readRows)
      const events = await withTimeout(read, options.readLimitMs, timeLimitError('Reading events'))
      // An event with another epoch means that the history was replaced. After this error, the next round
      // reads the head first.
      if (events.some(({ epoch }) => epoch !== head?.epoch))
        throw new Error('the epoch changed since the head was read')
      // If old events were deleted before this read, unread events may be missing. After this error, the next
      // round reads the head first and resets the clients.
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
   * Reads all new events. After a failed read, the next round first reads the position of the newest event
   * (head).
   * @throws an error if a read fails.
   */
  async function readRound(): Promise<void> {
    try {
      if (mustCheckHead || !head) await checkHead()
      await readOn()
    } catch (error) {
      mustCheckHead = true
      failures += 1
      // After a timeout, the database is probably unreachable. Any other first failure is tolerated, because
      // PostgreSQL may have ended only a single session.
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
    /** Reads all events that were committed before the call. Rejects if a read fails. */
    read: run,
    /** Checks whether the history was replaced (epoch), then reads new events. */
    sync(): Promise<void> {
      mustCheckHead = true
      return run()
    },
    /** Position of the newest event. Undefined until the first successful read. */
    get head(): Head | undefined {
      return head && { epoch: head.epoch, seq: Math.max(cursor, ring.head), prunedTo: head.prunedTo }
    },
    get eventsRead() {
      return eventsRead
    },
    get failures() {
      return failures
    },
    /** True before the first successful read and after failed reads. */
    get stale() {
      return stale
    },
  }
}
