import { acquireLease, type Candidate, goneHolder, releaseLease } from '../db/lease.ts'
import type { Pool } from '../db/pool.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'

/**
 * Lifetime in seconds of the lease (lock in the database that makes one orchestrator the active one). It
 * matters only if the holder hangs or its machine is cut off: the lease of a holder whose sessions have ended
 * is taken soon.
 */
const LEASE_SECONDS = 60
/**
 * Time in ms for which the holder must have no session before its lease is taken. It is longer than the pause
 * before a new connection, because a restart of the database ends the sessions of a holder that still works.
 */
const GONE_MS = 3_500
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
  /** Monotonic clock in ms. */
  now?(): number
}

/**
 * Creates a function that takes the lease (lock in the database that makes one orchestrator the active one)
 * and renews the lease until it is released or lost. The function returns undefined if another orchestrator
 * holds the lease. If that one has no session in the database for some seconds, its lease is taken.
 */
export function createLeaseTaker(options: LeaseOptions) {
  const { pool, now = () => performance.now() } = options
  /** Holder without a session, and the time since which every call has found it so. */
  let gone: { worker: string; since: number } | null = null
  return async function takeLease(candidate: Omit<Candidate, 'gone'>): Promise<Lease | undefined> {
    const seen = gone
    gone = null // also if the database does not answer, because the holder then can't connect either
    const isLongGone = seen !== null && now() - seen.since >= GONE_MS
    const ask = { ...candidate, gone: isLongGone ? seen.worker : null }
    const attempt = await acquireLease(pool, ask, LEASE_SECONDS)
    if (attempt !== null) return keepLease(attempt, options)
    const worker = await goneHolder(pool)
    gone = worker === null ? null : worker === seen?.worker ? seen : { worker, since: now() }
    return undefined
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
