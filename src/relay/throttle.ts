/** Limits how often events are written to clients. All times are milliseconds of the same clock. */

export interface ThrottleLimits {
  /** Lower limit of the time between the starts of two rounds of writes, in milliseconds. */
  flushMs: number
  /**
   * Upper limit of the share of time spent in rounds of writes, 0 to 1. After a long round, the next round
   * starts later and contains more events.
   */
  flushShare: number
  /**
   * Upper limit of the time between the starts of two rounds of writes, in milliseconds. A longer time saves
   * little, because a round already contains many events.
   */
  longestFlushMs: number
}

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ flushMs, flushShare, longestFlushMs }: ThrottleLimits) {
  let due = Number.NEGATIVE_INFINITY
  return {
    /**
     * Returns the delay before the next round of writes. A delay of 0 or less means that the round can start
     * now.
     */
    wait: (now: number): number => due - now,
    /** Records a finished round of writes, which determines when the next round is due. */
    done(begin: number, end: number): void {
      due = begin + Math.min(Math.max(flushMs, (end - begin) / flushShare), longestFlushMs)
    },
  }
}

export type Flush = ReturnType<typeof createFlush>

/**
 * Returns a scheduler of rounds of writes. The first round of a quiet stream runs at once; the throttle
 * delays the next rounds.
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
