import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool } from './pool.ts'

const fragment = sql.fragment

const Pruned = z.object({ pruned: z.number().int(), next_seq: z.number().int().nullable() })

/**
 * Deletes at most `batch` old rows of each table, so that the transaction is short. The events are read from
 * the one after `after`, or not at all if `after` is null. Returns the number of deleted rows, and the event
 * after which the next call continues. The caller repeats the call until it returns 0 and null.
 */
export function prune(
  pool: Pool,
  attempt: number,
  olderThanDays: number,
  keepOperations: number,
  batch: number,
  after: number | null,
): Promise<z.infer<typeof Pruned>> {
  const age = fragment`make_interval(days => ${olderThanDays})`
  return oneRow(
    pool,
    Pruned,
    fragment`select to_jsonb(p) as row
      from bloud.prune(${attempt}, ${age}, ${keepOperations}, ${batch}, ${after}) p`,
  )
}
