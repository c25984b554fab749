/** How often events are written. All times are milliseconds of one clock. */

export interface ThrottleLimits {
  /** Between the beginnings of two rounds, at least. */
  flushMs: number
  /** How much of its time the relay may spend on rounds: where one takes long, the next comes later, with more in it. */
  flushShare: number
  /** However long a round took, the next one is due after this: beyond, more events in one write save little. */
  longestFlushMs: number
}

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ flushMs, flushShare, longestFlushMs }: ThrottleLimits) {
  let due = Number.NEGATIVE_INFINITY
  return {
    /** How long to wait with the next round; not positive: do it now. */
    wait: (now: number): number => due - now,
    done(begin: number, end: number): void {
      due = begin + Math.min(Math.max(flushMs, (end - begin) / flushShare), longestFlushMs)
    },
  }
}
