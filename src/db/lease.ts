import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool, rows } from './pool.ts'

const fragment = sql.fragment

/**
 * Acquires the lease (lock in the database that makes one orchestrator the active one) for `seconds` seconds.
 * Returns the attempt number (fencing token of the lease), or null while another orchestrator
 * holds the lease.
 */
export function acquireLease(pool: Pool, worker: string, seconds: number): Promise<number | null> {
  return oneRow(
    pool,
    z.number().int().nullable(),
    fragment`select to_jsonb(bloud.acquire_lease(${worker}, ${seconds})) as row`,
  )
}

/**
 * Extends the lease with this attempt number (fencing token) to `seconds` seconds from now.
 * @throws Problem stale_attempt if another orchestrator has acquired the lease.
 */
export async function renewLease(pool: Pool, attempt: number, seconds: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.renew_lease(${attempt}, ${seconds})`)
}

/**
 * Releases the lease (lock in the database that makes one orchestrator the active one). Another
 * orchestrator can then acquire the lease without waiting for its expiry.
 */
export async function releaseLease(pool: Pool, attempt: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.release_lease(${attempt})`)
}
