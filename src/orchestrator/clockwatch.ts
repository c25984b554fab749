/**
 * Compares the clock of the database with the monotonic clock of this process, because deadlines in the
 * database fail operations at once when a clock that was behind is set right.
 */

/** Difference in ms from which a jump counts: the grace period of the SQL function bloud.sweep(). */
const JUMP_MS = 5_000

interface Reading {
  clockMs: number
  /** Time as in `performance.now()` before the query was sent. */
  sentAt: number
}

export interface ClockWatch {
  /**
   * Returns by how many ms the clock of the database was certainly set forward between the last kept reading
   * and this one, or 0. A time in which this machine was suspended counts too, because no work was done.
   */
  jumpMs(reading: Reading): number
  keep(reading: Reading): void
  /** Returns the latest time in ms that the clock of the database can have now without a jump. */
  latestMs(): number
}

export function createClockWatch(): ClockWatch {
  let last: Reading | undefined
  const expected = ({ clockMs, sentAt }: Reading) => clockMs + performance.now() - sentAt
  return {
    jumpMs(reading) {
      const ahead = last ? reading.clockMs - expected(last) : 0
      return ahead > JUMP_MS ? ahead : 0
    },
    keep(reading) {
      last = reading
    },
    latestMs: () => (last ? expected(last) + JUMP_MS : 0),
  }
}
