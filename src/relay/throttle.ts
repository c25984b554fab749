/** Throttles how often events are written. All times are milliseconds of one clock. */

export interface ThrottleLimits {
  /** Lower limit between the starts of two rounds of writes. */
  flushMs: number
  /**
   * Share of the time for rounds, 0 to 1: after a long round the next one starts later and contains more
   * events.
   */
  flushShare: number
  /** Upper limit between the starts of two rounds, because more events in one write save little beyond it. */
  longestFlushMs: number
}

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ flushMs, flushShare, longestFlushMs }: ThrottleLimits) {
  let due = Number.NEGATIVE_INFINITY
  return {
    /** Returns the delay before the next round; zero or negative if it can start now. */
    wait: (now: number): number => due - now,
    /** Records a round, which determines when the next one is due. */
    done(begin: number, end: number): void {
      due = begin + Math.min(Math.max(flushMs, (end - begin) / flushShare), longestFlushMs)
    },
  }
}

export type Flush = ReturnType<typeof createFlush>

/**
 * Returns a scheduler of rounds: the first one of a quiet stream runs at once, the throttle delays the next
 * ones.
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
