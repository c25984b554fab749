/** Decides when the relay reads new events: after a notification, at an interval, and after a failed read. */
import type { Tail } from './tail.ts'

export interface ReadScheduleLimits {
  /**
   * Interval in milliseconds of reads without a PostgreSQL notification. These reads find events whose
   * notification was lost.
   */
  tickMs: number
  /**
   * Interval in milliseconds that replaces `tickMs` while reads fail or while notifications cannot arrive.
   */
  degradedTickMs: number
  /**
   * Pause in milliseconds before a failed read is repeated. Each further failure in a row makes the pause
   * four times as long, up to `degradedTickMs`.
   */
  firstRetryMs: number
}

export type ReadSchedule = ReturnType<typeof createReadSchedule>

/**
 * @param receivesEvents returns true while the session that reads the events also receives their
 *   notifications.
 */
export function createReadSchedule(tail: Tail, limits: ReadScheduleLimits, receivesEvents: () => boolean) {
  let listening = false
  let stopped = true
  let tickTimer: NodeJS.Timeout | undefined
  let retryTimer: NodeJS.Timeout | undefined

  function attemptRead(read: () => Promise<void>): void {
    if (!stopped) read().catch(scheduleRetry)
  }

  /**
   * Repeats a failed read. The first delay is short, because in most cases PostgreSQL has only ended one
   * session and the next read succeeds.
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
   * Reads new events after a notification. If there are no new events, checks the epoch (id of the history),
   * because a restore of the database also causes a notification.
   */
  async function readNotified(): Promise<void> {
    const before = tail.eventsRead
    await tail.read()
    if (tail.eventsRead === before) await tail.sync()
  }

  const isListening = () => listening && receivesEvents()

  function tick(): void {
    attemptRead(tail.sync)
    tickTimer = setTimeout(tick, tail.stale || !isListening() ? limits.degradedTickMs : limits.tickMs)
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
    /** Reads again soon, over a new connection. Until then, notifications are lost. */
    readerLost: scheduleRetry,
    /**
     * Records whether the listener can receive PostgreSQL notifications (LISTEN). Reads new events, because
     * notifications may have been lost before.
     */
    setListening(active: boolean): void {
      listening = active
      attemptRead(tail.sync)
    },
    get listening() {
      return isListening()
    },
  }
}
