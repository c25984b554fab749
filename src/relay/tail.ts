/**
 * Follows the history: one read per notification for any number of clients, one read at a time, always from
 * the cursor. The tick replaces a lost notification. After a failed read the next one begins with the head of
 * the history.
 */
import { TimeLimitError, timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Head, ResetReason } from './eventid.ts'
import { appFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import type { RelayLog, StreamSource } from './streamsource.ts'

/**
 * Failures in a row that do not mark the stream as stale: the server may have ended one idle session of the
 * pool.
 */
const TOLERATED_FAILURES = 1

export interface TailOptions {
  source: StreamSource
  ring: Ring
  log: RelayLog
  /** Upper limit of one read in rows. */
  readRows: number
  /**
   * Number of old events read into the ring at the start, so that clients resume without a query after a
   * restart.
   */
  warmRows: number
  /** Upper limit of one read in milliseconds. */
  readLimitMs: number
  /** New events are in the ring. */
  onEvents(): void
  /** No client can continue: the history has a new epoch, or events were pruned before they were read. */
  onReset(reason: ResetReason): void
  /** All events were read; `recovered` is true if the stream was stale before. */
  onFresh(recovered: boolean): void
  /** Events cannot be read. */
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
  /** True if the next round must read the head before the events. */
  let mustCheckHead = true

  /** Empties the ring and moves the cursor, so that the latest events are read again. */
  function restartAt(newHead: Head): void {
    cursor = Math.max(newHead.prunedTo, newHead.seq - options.warmRows, 0)
    ring.reset(cursor)
  }

  /** Reads the head and resets all clients if they cannot continue. */
  async function checkHead(): Promise<void> {
    mustCheckHead = false
    const newHead = await withTimeout(source.head(), options.readLimitMs, timeLimitError('Reading the head'))
    const oldHead = head
    head = newHead
    if (!oldHead) return restartAt(newHead)
    // The same epoch with fewer events means that events were removed at the end: treated like a new epoch.
    const replaced = newHead.epoch !== oldHead.epoch || newHead.seq < cursor
    if (!replaced && newHead.prunedTo <= cursor) return
    restartAt(newHead)
    options.onReset(replaced ? 'unknown_epoch' : 'older_than_retention')
  }

  /** Reads all events after the cursor into the ring. */
  async function readOn(): Promise<void> {
    for (;;) {
      const read = (source.readLive ?? source.streamAfter)(cursor, options.readRows)
      const events = await withTimeout(read, options.readLimitMs, timeLimitError('Reading events'))
      // The epoch changed after the head was read, so these events do not continue the old ones. The next
      // round reads the head first.
      if (events.some(({ epoch }) => epoch !== head?.epoch))
        throw new Error('the epoch changed since the head was read')
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

  /** Reads everything that is new. @throws after a failed read; the next round then begins with the head. */
  async function readRound(): Promise<void> {
    try {
      if (mustCheckHead || !head) await checkHead()
      await readOn()
    } catch (error) {
      mustCheckHead = true
      failures += 1
      // An ended session fails at once, and one such failure is tolerated; a timeout means an unreachable
      // database.
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
     * Reads new events. Resolves when all events committed before the call are read; rejects after a failed
     * read.
     */
    read: run,
    /** Same as `read`, but first checks that the history is still the same one. */
    sync(): Promise<void> {
      mustCheckHead = true
      return run()
    },
    /** Newest position; undefined until the first successful read of the head. */
    get head(): Head | undefined {
      return head && { epoch: head.epoch, seq: Math.max(cursor, ring.head), prunedTo: head.prunedTo }
    },
    /** Number of events read since the start. */
    get eventsRead() {
      return eventsRead
    },
    /** Number of failed rounds in a row. */
    get failures() {
      return failures
    },
    /** True until the first read, and after failed reads. */
    get stale() {
      return stale
    },
  }
}
