/** Pairs the database with a data folder over the pool of the orchestrator. */
import { sql } from 'slonik'
import { z } from 'zod'
import type { FolderIdentity } from './pairing.ts'
import { oneRow, type Pool } from './pool.ts'

const fragment = sql.fragment

/** `database` is null if a database that is not paired yet refuses the folder of another database. */
const Answer = z.object({
  database: z.string().nullable(),
  message: z.string().nullable(),
  hint: z.string().nullable(),
})
export type PairingAnswer = z.infer<typeof Answer>

/**
 * Pairs the database with a data folder if it is not paired yet. `message` of the result is null, or the
 * reason why the folder is refused.
 */
export function pairFolder(
  pool: Pool,
  { folder, database }: FolderIdentity,
  machine: string,
): Promise<PairingAnswer> {
  return oneRow(pool, Answer, fragment`select bloud.pair_folder(${folder}, ${database}, ${machine}) as row`)
}
