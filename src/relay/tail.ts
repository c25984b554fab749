/** Reads new events from the database into the ring buffer, from which all clients get the events. */
import { TimeLimitError, timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Head, ResetReason } from './eventid.ts'
import { appFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import type { KnownEvent, RelayLog, StreamEvent, StreamSource } from './streamsource.ts'

/**
 * Number of failed reads in a row before clients get the event `stale`. One failed read is tolerated, because
 * PostgreSQL may only have ended one idle session.
 */
const TOLERATED_FAILURES = 1

export interface TailOptions {
  source: StreamSource
  ring: Ring
  log: RelayLog
  readRows: number
  /**
   * Number of old events that are read into the ring buffer when the relay starts. Clients that reconnect
   * after a restart of the relay then need no database query.
   */
  warmRows: number
  readLimitMs: number
  onEvents(): void
  /**
   * Called if the history of events was replaced by a restored backup, or if events were deleted before the
   * relay read them. All clients then need a snapshot.
   */
  onReset(reason: ResetReason): void
  /** Called after all new events were read. `recovered` is true if events could not be read before. */
  onFresh(recovered: boolean): void
  onStale(error: unknown): void
}

export type Tail = ReturnType<typeof createTail>

function knownEvent({ epoch, seq, json }: StreamEvent): KnownEvent | undefined {
  const { at } = JSON.parse(json) as { at?: string }
  return at === undefined ? undefined : { epoch, seq, at }
}

export function createTail(options: TailOptions) {
  const { source, ring } = options
  let head: Head | undefined
  let cursor = 0
  let eventsRead = 0
  let stale = true
  let failures = 0
  let mustCheckHead = true
  let newest: StreamEvent | undefined
  let checkedConnections: number | undefined

  /** Empties the ring buffer, so that the next read begins with the latest `warmRows` events. */
  function restartAt(newHead: Head): void {
    newest = undefined
    cursor = Math.max(newHead.prunedTo, newHead.seq - options.warmRows, 0)
    ring.reset(cursor)
  }

  /**
   * Reads the newest position (head). Resets all clients if the history was replaced by a restored backup or
   * by that of a promoted standby, or if events were deleted before the relay read them.
   */
  async function checkHead(): Promise<void> {
    mustCheckHead = false
    const read = source.head(newest && knownEvent(newest))
    const newHead = await withTimeout(read, options.readLimitMs, timeLimitError('Reading the head'))
    const oldHead = head
    head = newHead
    if (!oldHead) return restartAt(newHead)
    // If the newest event number is lower than before, the newest events were removed. This case is treated
    // like a replaced history.
    const replaced = newHead.epoch !== oldHead.epoch || newHead.seq < cursor
    if (!replaced && newHead.prunedTo <= cursor) return
    restartAt(newHead)
    options.onReset(replaced ? 'unknown_epoch' : 'older_than_retention')
  }

  /**
   * Checks the head if the last read has opened a new connection, which may lead to another server. Returns
   * true if the events of the read must be read again.
   */
  async function hasOtherHistory(): Promise<boolean> {
    const connections = source.connections?.()
    if (connections === checkedConnections) return false
    checkedConnections = connections
    const [epoch, before] = [head?.epoch, cursor]
    await checkHead()
    return head?.epoch !== epoch || cursor !== before
  }

  async function readOn(): Promise<void> {
    for (;;) {
      const read = (source.readLive ?? source.streamAfter)(cursor, options.readRows)
      const events = await withTimeout(read, options.readLimitMs, timeLimitError('Reading events'))
      if (await hasOtherHistory()) continue
      // An event with another epoch means that a backup was restored. After this error, the next attempt
      // begins with `checkHead`.
      if (events.some(({ epoch }) => epoch !== head?.epoch))
        throw new Error('the epoch changed since the head was read')
      // If old events were deleted before this read, unread events may be missing. After this error, the next
      // attempt begins with `checkHead`, which resets the clients.
      if (events[0] && events[0].pruned_to > cursor) throw new Error('unread events were pruned')
      for (const event of events) {
        ring.push(appFrame(event))
        cursor = event.seq
      }
      newest = events.at(-1) ?? newest
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
   * Reads all new events. After a failed read, the next call begins with `checkHead`.
   * @throws an error if a read fails.
   */
  async function readRound(): Promise<void> {
    try {
      if (mustCheckHead || !head) await checkHead()
      await readOn()
    } catch (error) {
      mustCheckHead = true
      failures += 1
      // After a timeout, the database is probably unreachable. Other errors are tolerated once, because
      // PostgreSQL may only have ended one session.
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
    /** Checks whether a backup was restored (other epoch), then reads new events. */
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
    get stale() {
      return stale
    },
  }
}
