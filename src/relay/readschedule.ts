/**
 * Decides when the relay reads new events: after a notification, at an interval, and again after a failed
 * read.
 */
import type { Tail } from './tail.ts'

export interface ReadScheduleLimits {
  /**
   * Interval between two reads that happen without a notification, in milliseconds. These reads are
   * necessary because a notification can be lost.
   */
  tickMs: number
  /**
   * Interval in milliseconds that is used instead of `tickMs` while reads fail or the database session does
   * not listen for notifications.
   */
  degradedTickMs: number
  /**
   * Base of the delay before a failed read is repeated, in milliseconds. The base is multiplied by 4 for
   * each failed read in a row.
   */
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
   * Schedules another read after a failed read, with a growing delay. The first delay is short, because an
   * error of a single ended session does not occur again.
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
   * Reads new events after a notification. If there are no new events, the epoch of the history is read too,
   * because a restore of the database also causes a notification.
   */
  async function readNotified(): Promise<void> {
    const before = tail.eventsRead
    await tail.read()
    if (tail.eventsRead === before) await tail.sync()
  }

  /** Reads new events at an interval, even without a notification, because a notification can be lost. */
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
     * Records if the database session listens for notifications (LISTEN). Then reads new events, because
     * notifications may have been lost before.
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
