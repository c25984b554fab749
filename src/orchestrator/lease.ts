import { acquireLease, releaseLease, renewLease } from '../db/lease.ts'
import type { Pool } from '../db/pool.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'

/** Lifetime of the lease in seconds. If the lease is not renewed in this time, another worker can take it. */
const LEASE_SECONDS = 10
/** Interval between two renewals of the lease, in ms. */
const RENEW_EVERY_MS = 3_000

export interface Lease {
  /** Fencing token, which increases whenever a worker takes the lease. */
  attempt: number
  /** Signal that aborts when another worker has taken the lease. */
  lost: AbortSignal
  release(): Promise<void>
}

/**
 * Takes the lease, which makes `worker` the only active worker, and renews the lease until it is released or
 * lost. Returns undefined if another worker holds the lease.
 */
export async function takeLease(pool: Pool, worker: string, log: Logger): Promise<Lease | undefined> {
  const attempt = await acquireLease(pool, worker, LEASE_SECONDS)
  if (attempt === null) return undefined
  const lost = new AbortController()
  const timer = setInterval(async () => {
    try {
      await renewLease(pool, attempt, LEASE_SECONDS)
    } catch (error) {
      // Any other error means that the database is unreachable. No other worker can then take the lease, so
      // this worker keeps the lease.
      if (!(error instanceof Problem) || error.code !== 'stale_attempt') return
      log.warn({ attempt }, 'the lease was taken by another worker')
      lost.abort()
      clearInterval(timer)
    }
  }, RENEW_EVERY_MS)
  return {
    attempt,
    lost: lost.signal,
    async release() {
      clearInterval(timer)
      if (!lost.signal.aborted) await releaseLease(pool, attempt).catch(() => {})
    },
  }
}
