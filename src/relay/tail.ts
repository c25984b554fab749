/**
 * Follows the history: one read per doorbell however many clients there are, one at a time, and always from the
 * cursor. A lost bell is made good by the slow tick, a lost connection by the look at the head that follows it.
 */
import { TimeLimitError, timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Head, ResetReason } from './eventid.ts'
import { appFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import type { RelayLog, StreamSource } from './streamsource.ts'

/** The server may have ended a session of the pool while nobody looked; it is not away for that. */
const TOLERATED_FAILURES = 1

export interface TailOptions {
  source: StreamSource
  ring: Ring
  log: RelayLog
  /** Rows of one read. */
  pageRows: number
  /** How far back the ring is filled at the start, so that clients of a restarted agent resume without a query. */
  warmRows: number
  /** Milliseconds one read may take. */
  readLimitMs: number
  /** New events are in the ring. */
  onEvents(): void
  /** Nobody can be continued: the history is another one, or a part of it was pruned before it was read. */
  onReset(reason: ResetReason): void
  /** The database answered; `again` after it had not. */
  onFresh(again: boolean): void
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
  /** The next round asks where the history stands before it reads on. */
  let mustCheckHead = true

  function restartAt(seen: Head): void {
    cursor = Math.max(seen.prunedTo, seen.seq - options.warmRows, 0)
    ring.reset(cursor)
  }

  async function checkHead(): Promise<void> {
    mustCheckHead = false
    const seen = await withTimeout(source.head(), options.readLimitMs, timeLimitError('Reading the head'))
    const known = head
    head = seen
    if (!known) return restartAt(seen)
    // The same epoch with fewer events is a history that was cut: as foreign as another epoch.
    const foreign = seen.epoch !== known.epoch || seen.seq < cursor
    if (!foreign && seen.prunedTo <= cursor) return
    restartAt(seen)
    options.onReset(foreign ? 'unknown_epoch' : 'older_than_retention')
  }

  async function readOn(): Promise<void> {
    for (;;) {
      const read = (source.readLive ?? source.streamAfter)(cursor, options.pageRows)
      const events = await withTimeout(read, options.readLimitMs, timeLimitError('Reading events'))
      // It became another one after the head was looked at: these do not follow what was read before. The next try looks.
      if (events.some(({ epoch }) => epoch !== head?.epoch)) throw new Error('the history is another one')
      for (const event of events) {
        ring.push(appFrame(event))
        cursor = event.seq
      }
      eventsRead += events.length
      if (events.length > 0) options.onEvents()
      if (events.length < options.pageRows) return
    }
  }

  function markStale(error: unknown): void {
    if (!stale) options.log.warn({ error: String(error) }, 'the history cannot be read')
    stale = true
    options.onStale(error)
  }

  async function round(): Promise<void> {
    try {
      if (mustCheckHead || !head) await checkHead()
      await readOn()
    } catch (error) {
      mustCheckHead = true
      failures += 1
      // An ended session says so at once; who does not answer at all is away.
      if (failures > TOLERATED_FAILURES || error instanceof TimeLimitError) markStale(error)
      throw error
    }
    const again = stale
    failures = 0
    stale = false
    options.onFresh(again)
  }

  const run = createCoalesced(round)

  return {
    /** Reads on; resolves when whatever was committed before the call has been read. Rejects when it could not. */
    read: run,
    /** As `read`, and first looks whether the history is still the same one. */
    sync(): Promise<void> {
      mustCheckHead = true
      return run()
    },
    /** Undefined until the database has answered for the first time. */
    get head(): Head | undefined {
      return head && { epoch: head.epoch, seq: Math.max(cursor, ring.head), prunedTo: head.prunedTo }
    },
    get eventsRead() {
      return eventsRead
    },
    /** Reads that failed one after the other. */
    get failures() {
      return failures
    },
    get stale() {
      return stale
    },
  }
}
