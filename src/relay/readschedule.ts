/**
 * Decides when the relay reads new events: after a notification, at an interval, and again after a failed
 * read.
 */
import type { Tail } from './tail.ts'

export interface ReadScheduleLimits {
  /**
   * Interval between two reads without a notification, in milliseconds. These reads are needed because a
   * notification can be lost.
   */
  tickMs: number
  /** Interval that replaces `tickMs` while reads fail or LISTEN is not established, in milliseconds. */
  degradedTickMs: number
  /** Delay before a failed read is repeated for the first time, in milliseconds. */
  firstRetryMs: number
}

export type ReadSchedule = ReturnType<typeof createReadSchedule>

export function createReadSchedule(tail: Tail, limits: ReadScheduleLimits) {
  let listening = false
  let stopped = true
  let tickTimer: NodeJS.Timeout | undefined
  let retryTimer: NodeJS.Timeout | undefined

  function attemptRead(read: () => Promise<void>): void {
    if (!stopped) read().catch(scheduleRetry)
  }

  /**
   * Schedules the next attempt after a failed read, with backoff. The first delay is short, because the error
   * of a single ended session does not occur again.
   */
  function scheduleRetry(): void {
    if (stopped || retryTimer) return
    const wait = Math.min(limits.firstRetryMs * 4 ** tail.failures, limits.degradedTickMs)
    retryTimer = setTimeout(() => {
      retryTimer = undefined
      attemptRead(tail.sync)
    }, wait)
  }

  /**
   * Reads new events after a notification. If there are no new events, the epoch is checked too, because the
   * database may have been restored.
   */
  async function readNotified(): Promise<void> {
    const before = tail.eventsRead
    await tail.read()
    if (tail.eventsRead === before) await tail.sync()
  }

  /** Reads new events at an interval, because a notification can be lost. */
  function tick(): void {
    attemptRead(tail.sync)
    tickTimer = setTimeout(tick, tail.stale || !listening ? limits.degradedTickMs : limits.tickMs)
  }

  return {
    start(): void {
      stopped = false
      tick()
    },
    stop(): void {
      stopped = true
      clearTimeout(tickTimer)
      clearTimeout(retryTimer)
      retryTimer = undefined
    },
    notified: () => attemptRead(readNotified),
    /**
     * Records if LISTEN is established. Then reads new events, because notifications are lost while LISTEN is
     * not established.
     */
    setListening(active: boolean): void {
      listening = active
      attemptRead(tail.sync)
    },
    get listening() {
      return listening
    },
  }
}
