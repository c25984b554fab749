import { acquireLease, type Candidate, releaseLease, renewLease } from '../db/lease.ts'
import type { Pool } from '../db/pool.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'

/**
 * Lifetime in seconds of the lease (lock in the database that makes one orchestrator the active one). A lease
 * that is not renewed in this time can be taken by another orchestrator.
 */
const LEASE_SECONDS = 10
const RENEW_EVERY_MS = 3_000

export interface Lease {
  /**
   * Fencing token, which increases whenever an orchestrator takes the lease. The database refuses writes with
   * an older token.
   */
  attempt: number
  lost: AbortSignal
  release(): Promise<void>
}

/**
 * Takes the lease (lock in the database that makes one orchestrator the active one) and renews the lease
 * until it is released or lost. Returns undefined if another orchestrator holds the lease.
 */
export async function takeLease(pool: Pool, candidate: Candidate, log: Logger): Promise<Lease | undefined> {
  const attempt = await acquireLease(pool, candidate, LEASE_SECONDS)
  if (attempt === null) return undefined
  const lost = new AbortController()
  const timer = setInterval(async () => {
    try {
      await renewLease(pool, attempt, LEASE_SECONDS)
    } catch (error) {
      // Any other error means that the database is unreachable. Another orchestrator then can't take the
      // lease either, so this one keeps the lease.
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
