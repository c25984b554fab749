/** Decides when the tail reads: after a notification, at an interval, and again after a failed read. */
import type { Tail } from './tail.ts'

export interface ReadScheduleLimits {
  /** Interval in milliseconds of reads without a notification, because a notification can be lost. */
  tickMs: number
  /** The same while reads fail or LISTEN is not established. */
  degradedTickMs: number
  /** Delay in milliseconds before the first retry. */
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
   * Schedules the next attempt with backoff. It is short at first, because an ended session of the pool fails
   * only once.
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
   * Reads new events. A notification without one can mean a restored database (new epoch), so the head is
   * read then.
   */
  async function readNotified(): Promise<void> {
    const before = tail.eventsRead
    await tail.read()
    if (tail.eventsRead === before) await tail.sync()
  }

  /** Reads without a notification, at an interval. */
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
    /** Records if LISTEN is established, and reads, because earlier notifications may be lost. */
    setListening(active: boolean): void {
      listening = active
      attemptRead(tail.sync)
    },
    get listening() {
      return listening
    },
  }
}
