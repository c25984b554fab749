import type { Pool } from '../db/pool.ts'
import { acquireLease, releaseLease, renewLease } from '../db/rebuild.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'

/** A worker that dies is replaced after this; three renewals may go missing before. */
const LEASE_SECONDS = 10
const RENEW_EVERY_MS = 3_000

export interface Lease {
  attempt: number
  /** Aborted as soon as another worker is known to hold the lease. */
  lost: AbortSignal
  release(): Promise<void>
}

/** The lease for `worker`, kept until released or lost; undefined while another worker holds it. */
export async function takeLease(pool: Pool, worker: string, log: Logger): Promise<Lease | undefined> {
  const attempt = await acquireLease(pool, worker, LEASE_SECONDS)
  if (attempt === null) return undefined
  const lost = new AbortController()
  const timer = setInterval(async () => {
    try {
      await renewLease(pool, attempt, LEASE_SECONDS)
    } catch (error) {
      // A database that is away is no reason to give up: nobody else can take the lease there either.
      if (!(error instanceof Problem) || error.code !== 'stale_attempt') return
      log.warn({ attempt }, 'another worker has taken the lease')
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
