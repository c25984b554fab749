import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool } from './pool.ts'

const fragment = sql.fragment

/**
 * Deletes at most `batch` old events and `batch` old log lines, so that the transaction is short. Returns the
 * number of deleted rows. The caller repeats the call until the number is 0.
 */
export function prune(
  pool: Pool,
  attempt: number,
  olderThanDays: number,
  keepOperations: number,
  batch: number,
): Promise<number> {
  const age = fragment`make_interval(days => ${olderThanDays})`
  return oneRow(
    pool,
    z.number().int(),
    fragment`select to_jsonb(bloud.prune(${attempt}, ${age}, ${keepOperations}, ${batch})) as row`,
  )
}
