import { sql } from 'slonik'
import { z } from 'zod'
import { type Pool, rows } from './pool.ts'

const Violation = z.object({
  invariant: z.string(),
  app: z.string().nullable(),
  detail: z.string().nullable(),
})
export type Violation = z.infer<typeof Violation>

/**
 * Returns the violations of the consistency rules (invariants) of the tables. The array is empty if all rules
 * hold.
 */
export function checkInvariants(pool: Pool): Promise<readonly Violation[]> {
  return rows(pool, Violation, sql.fragment`select to_jsonb(i) as row from bloud.check_invariants() i`)
}
