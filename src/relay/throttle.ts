/** Limits how often events are written to clients. In each round, all clients get all new events. */

export interface ThrottleLimits {
  /** Lower limit of the time between the starts of two rounds, in milliseconds. */
  flushMs: number
  /**
   * Upper limit of the share of time that is spent in rounds, from 0 to 1. After a long round, the next round
   * starts later.
   */
  flushShare: number
  /**
   * Upper limit of the time between the starts of two rounds, in milliseconds. Takes precedence over
   * `flushShare`.
   */
  longestFlushMs: number
}

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ flushMs, flushShare, longestFlushMs }: ThrottleLimits) {
  let due = Number.NEGATIVE_INFINITY
  return {
    /** Returns the delay before the next round in milliseconds. 0 or less means that no delay is needed. */
    wait: (now: number): number => due - now,
    done(begin: number, end: number): void {
      due = begin + Math.min(Math.max(flushMs, (end - begin) / flushShare), longestFlushMs)
    },
  }
}

export type Flush = ReturnType<typeof createFlush>

/**
 * Returns an object whose method `soon` starts a round: at once, or after a delay if the last round was a
 * short time ago.
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
