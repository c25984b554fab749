/** Pairs the database with the data folder of this machine. */
import { sql } from 'slonik'
import { z } from 'zod'
import { connected } from './database.ts'
import { oneRow, type Pool } from './pool.ts'

const fragment = sql.fragment

/** Identity of a data folder, as stored in its file pairing.json. */
export interface FolderIdentity {
  folder: string
  /** Id of the database to which the folder belongs. Null until an orchestrator was accepted. */
  database: string | null
}

const Answer = z.object({ database: z.string(), message: z.string().nullable(), hint: z.string().nullable() })
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

/** Pairs the database with a data folder, even if it is paired with another. Returns the database's id. */
export function adopt(url: string, folder: string, machine: string): Promise<string> {
  return connected(url, async (client) => {
    const { rows } = await client.query('select bloud.adopt($1, $2) as id', [folder, machine])
    return rows[0].id as string
  })
}

/**
 * Returns why the database refuses a data folder, in sentences, or null. Returns null for a database that no
 * version with pairing has migrated yet.
 */
export function folderProblem(
  url: string,
  { folder, database }: FolderIdentity,
  machine: string,
): Promise<string | null> {
  return connected(url, async (client) => {
    const { rows } = await client.query(
      "select to_regprocedure('bloud.refusal_of_folder(text, text, text)') is not null as known",
    )
    if (!rows[0].known) return null
    const refusal = await client.query(
      "select r.message || '. ' || r.hint as problem from bloud.refusal_of_folder($1, $2, $3) r",
      [folder, database, machine],
    )
    return (refusal.rows[0]?.problem as string | undefined) ?? null
  })
}
