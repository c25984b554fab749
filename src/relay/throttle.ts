/** Limits how often events are written to clients. */

export interface ThrottleLimits {
  /** Lower limit of the time between the starts of two rounds of writes to all clients, in milliseconds. */
  flushMs: number
  /**
   * Upper limit of the share of time that is spent in rounds of writes, from 0 to 1. After a long round, the
   * next round starts later.
   */
  flushShare: number
  /** Upper limit of the time between the starts of two rounds of writes, in milliseconds. */
  longestFlushMs: number
}

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ flushMs, flushShare, longestFlushMs }: ThrottleLimits) {
  let due = Number.NEGATIVE_INFINITY
  return {
    /**
     * Returns the delay before the next round of writes, in milliseconds. 0 or less means that no delay is
     * needed.
     */
    wait: (now: number): number => due - now,
    done(begin: number, end: number): void {
      due = begin + Math.min(Math.max(flushMs, (end - begin) / flushShare), longestFlushMs)
    },
  }
}

export type Flush = ReturnType<typeof createFlush>

/**
 * Returns an object that starts rounds of writes on request. A round runs at once unless the last round was
 * shortly before.
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
