/** Limits how often events are written to clients. All times are in milliseconds and use the same clock. */

export interface ThrottleLimits {
  /** Lower limit of the time between the starts of two rounds of writes to all clients, in milliseconds. */
  flushMs: number
  /**
   * Upper limit of the share of time that is spent in rounds of writes, from 0 to 1. After a long round, the
   * next round starts later, so that both rounds together keep this limit.
   */
  flushShare: number
  /**
   * Upper limit of the time between the starts of two rounds of writes, in milliseconds. A longer time would
   * save little, because a round already contains many events.
   */
  longestFlushMs: number
}

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ flushMs, flushShare, longestFlushMs }: ThrottleLimits) {
  let due = Number.NEGATIVE_INFINITY
  return {
    /**
     * Returns the delay before the next round of writes, in milliseconds. If the delay is 0 or less, the
     * round can start at once.
     */
    wait: (now: number): number => due - now,
    /**
     * Records a finished round of writes. The duration of the round determines when the next round may
     * start.
     */
    done(begin: number, end: number): void {
      due = begin + Math.min(Math.max(flushMs, (end - begin) / flushShare), longestFlushMs)
    },
  }
}

export type Flush = ReturnType<typeof createFlush>

/**
 * Returns an object that starts rounds of writes on request. If the stream was quiet, a round runs at once;
 * otherwise the throttle delays the round.
 */
export function createFlush(write: () => void, limits: ThrottleLimits) {
  const throttle = createThrottle(limits)
  let timer: NodeJS.Timeout | undefined

  function run(): void {
    timer = undefined
    const begin = performance.now()
    write()
    throttle.done(begin, performance.now())
  }

  return {
    soon(): void {
      if (timer) return
      const wait = throttle.wait(performance.now())
      if (wait <= 0) run()
      else timer = setTimeout(run, wait)
    },
    stop(): void {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
