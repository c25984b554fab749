import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool, rows } from './pool.ts'

const fragment = sql.fragment

/**
 * Calls `bloud.acquire_lease` and returns the attempt number, or null while another worker holds the lease.
 */
export function acquireLease(pool: Pool, worker: string, seconds: number): Promise<number | null> {
  return oneRow(
    pool,
    z.number().int().nullable(),
    fragment`select to_jsonb(bloud.acquire_lease(${worker}, ${seconds})) as row`,
  )
}

/** Calls `bloud.renew_lease`. @throws Problem stale_attempt if the lease is lost. */
export async function renewLease(pool: Pool, attempt: number, seconds: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.renew_lease(${attempt}, ${seconds})`)
}

/** Calls `bloud.release_lease`, so that the next worker need not wait until the lease expires. */
export async function releaseLease(pool: Pool, attempt: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.release_lease(${attempt})`)
}
