import { acquireLease, type Candidate, goneHolder, releaseLease } from '../db/lease.ts'
import type { Pool } from '../db/pool.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'

/**
 * Lifetime in seconds of the lease (lock in the database that makes one orchestrator the active one). It
 * matters only if the holder hangs or its machine is cut off: the lease of a holder whose session has ended
 * is taken within two tries.
 */
const LEASE_SECONDS = 60
/** Interval in ms of the renewals. Each is written to the disk, so they are rare; two can fail. */
const RENEW_EVERY_MS = 25_000

export interface Lease {
  /**
   * Fencing token, which increases whenever an orchestrator takes the lease. The database refuses writes with
   * an older token.
   */
  attempt: number
  lost: AbortSignal
  /** Aborts `lost` if the error means that another orchestrator has taken the lease. */
  check(error: unknown): void
  release(): Promise<void>
}

export interface LeaseOptions {
  pool: Pool
  log: Logger
  /** Renews the lease for `seconds` seconds from now. */
  renew(attempt: number, seconds: number): Promise<void>
}

/**
 * Creates a function that takes the lease (lock in the database that makes one orchestrator the active one)
 * and renews the lease until it is released or lost. The function returns undefined if another orchestrator
 * holds the lease. If that one has no session in the database at two calls in a row, its lease is taken.
 */
export function createLeaseTaker(options: LeaseOptions) {
  const { pool } = options
  let gone: string | null = null
  return async function takeLease(candidate: Omit<Candidate, 'gone'>): Promise<Lease | undefined> {
    const attempt = await acquireLease(pool, { ...candidate, gone }, LEASE_SECONDS)
    gone = attempt === null ? await goneHolder(pool) : null
    return attempt === null ? undefined : keepLease(attempt, options)
  }
}

function keepLease(attempt: number, { pool, log, renew }: LeaseOptions): Lease {
  const lost = new AbortController()
  const timer = setInterval(() => void keep(), RENEW_EVERY_MS)

  async function keep(): Promise<void> {
    try {
      await renew(attempt, LEASE_SECONDS)
    } catch (error) {
      // Any other error means that the database is unreachable. Another orchestrator then can't take the
      // lease either, so this one keeps the lease.
      check(error)
    }
  }

  function check(error: unknown): void {
    if (lost.signal.aborted || !(error instanceof Problem) || error.code !== 'stale_attempt') return
    log.warn({ attempt }, 'the lease was taken by another worker')
    lost.abort()
    clearInterval(timer)
  }

  return {
    attempt,
    lost: lost.signal,
    check,
    async release() {
      clearInterval(timer)
      if (!lost.signal.aborted) await releaseLease(pool, attempt).catch(() => {})
    },
  }
}
