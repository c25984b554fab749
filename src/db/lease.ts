import { sql } from 'slonik'
import { z } from 'zod'
import type { WorkerProblem } from '../domain/readiness.ts'
import { oneRow, type Pool, rows } from './pool.ts'

const fragment = sql.fragment

export interface WorkerReport {
  worker: string
  problems: readonly WorkerProblem[]
}

export interface Candidate {
  worker: string
  /** Id of the data folder of the worker. */
  folder: string
  /** True if every earlier worker of the same data folder is known to have ended. */
  predecessorEnded: boolean
  /** Worker that held the lease without a session some seconds before, or null. Its lease may be taken. */
  gone: string | null
}

/**
 * Acquires the lease (lock in the database that makes one orchestrator the active one) for `seconds` seconds.
 * Returns the attempt number (fencing token of the lease), or null while another orchestrator
 * holds the lease.
 * @throws Problem other_folder if the database is paired with another data folder.
 */
export function acquireLease(pool: Pool, candidate: Candidate, seconds: number): Promise<number | null> {
  const { worker, folder, predecessorEnded, gone } = candidate
  return oneRow(
    pool,
    z.number().int().nullable(),
    fragment`select to_jsonb(
      bloud.acquire_lease(${worker}, ${seconds}, ${folder}, ${predecessorEnded}, ${gone})) as row`,
  )
}

/** Returns the worker that holds the lease but has no session in the database, or null. */
export function goneHolder(pool: Pool): Promise<string | null> {
  return oneRow(pool, z.string().nullable(), fragment`select to_jsonb(bloud.gone_holder()) as row`)
}

/**
 * Extends the lease with this attempt number (fencing token) to `seconds` seconds from now. Also records the
 * report of the worker, in the same transaction so that PostgreSQL syncs the disk once.
 * @throws Problem stale_attempt if another orchestrator has acquired the lease.
 */
export async function renewLease(
  pool: Pool,
  attempt: number,
  seconds: number,
  { worker, problems }: WorkerReport,
): Promise<void> {
  await rows(
    pool,
    z.unknown(),
    fragment`select null as row from bloud.renew_lease(${attempt}, ${seconds}),
      bloud.report_worker(${worker}, ${new Date().toISOString()}::timestamptz,
        ${JSON.stringify(problems)}::jsonb)`,
  )
}

/**
 * Releases the lease (lock in the database that makes one orchestrator the active one). Another
 * orchestrator can then acquire the lease without waiting for its expiry.
 */
export async function releaseLease(pool: Pool, attempt: number): Promise<void> {
  await rows(pool, z.unknown(), fragment`select null as row from bloud.release_lease(${attempt})`)
}
