import { acquireLease, releaseLease, renewLease } from '../db/lease.ts'
import type { Pool } from '../db/pool.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'

/** Lifetime of the lease in seconds: a dead worker is replaced after it. Covers three missed renewals. */
const LEASE_SECONDS = 10
/** Interval between two renewals in milliseconds. */
const RENEW_EVERY_MS = 3_000

export interface Lease {
  /** Fencing token: grows with every acquisition of the lease. */
  attempt: number
  /** Aborted as soon as another worker is known to hold the lease. */
  lost: AbortSignal
  release(): Promise<void>
}

/**
 * Takes the lease for `worker` and renews it until released or lost. Undefined while another worker holds it.
 */
export async function takeLease(pool: Pool, worker: string, log: Logger): Promise<Lease | undefined> {
  const attempt = await acquireLease(pool, worker, LEASE_SECONDS)
  if (attempt === null) return undefined
  const lost = new AbortController()
  const timer = setInterval(async () => {
    try {
      await renewLease(pool, attempt, LEASE_SECONDS)
    } catch (error) {
      // An unreachable database does not end the lease, because no other worker can take it either.
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
