import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool, rows } from './pool.ts'

const fragment = sql.fragment

/** `bloud.acquire_lease`: the attempt number, or null while another worker holds the lease. */
export function acquireLease(pool: Pool, worker: string, seconds: number): Promise<number | null> {
  return oneRow(
    pool,
    z.number().int().nullable(),
    fragment`select to_jsonb(bloud.acquire_lease(${worker}, ${seconds})) as row`,
  )
}

/** `bloud.renew_lease`. @throws Problem stale_attempt once the lease is lost. */
export async function renewLease(pool: Pool, attempt: number, seconds: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.renew_lease(${attempt}, ${seconds})`)
}

/** `bloud.release_lease`. */
export async function releaseLease(pool: Pool, attempt: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.release_lease(${attempt})`)
}
