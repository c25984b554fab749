import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool } from './pool.ts'

const fragment = sql.fragment

/** `bloud.prune`: how many events and log lines were forgotten; call again until 0. */
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
