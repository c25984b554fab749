/** Pairs the database with the data folder of this machine. */
import { connected } from './database.ts'

/** Identity of a data folder, as stored in its file pairing.json. */
export interface FolderIdentity {
  folder: string
  /** Id of the database to which the folder belongs. Null until an orchestrator was accepted. */
  database: string | null
}

/** Pairs the database with a data folder, even if it is paired with another. Returns the database's id. */
export function adopt(url: string, folder: string, machine: string): Promise<string> {
  return connected(url, async (client) => {
    const { rows } = await client.query('select bloud.adopt($1, $2) as id', [folder, machine])
    return rows[0].id as string
  })
}

/** Row of bloud.pairing that pairs the database with a data folder. */
export type StoredPairing = Record<'database_id' | 'folder_id' | 'machine', string> & { paired_at: Date }

/** Returns with which data folder the database is paired, or null. */
export function storedPairing(url: string): Promise<StoredPairing | null> {
  return connected(url, async (client) => {
    const known = await client.query("select to_regclass('bloud.pairing') is not null as yes")
    if (!known.rows[0].yes) return null
    const { rows } = await client.query(
      'select database_id, folder_id, machine, paired_at from bloud.pairing where folder_id is not null',
    )
    return rows[0] ?? null
  })
}

/** Pairs the database again as it was before its content was replaced by a backup. */
export async function keepPairing(url: string, pairing: StoredPairing): Promise<void> {
  const { database_id, folder_id, machine, paired_at } = pairing
  await connected(url, (client) =>
    client.query(
      `update bloud.pairing set database_id = $1, folder_id = $2, machine = $3, paired_at = $4,
        refused_folder = null, refused_machine = null, refused_database = null, refused_at = null`,
      [database_id, folder_id, machine, paired_at],
    ),
  )
}

/**
 * Returns why the database refuses a data folder, in sentences, or null. Returns null for a database that no
 * version with pairing has migrated yet, and for a schema that the login may not use, because the migration
 * explains it.
 */
export function folderProblem(
  url: string,
  { folder, database }: FolderIdentity,
  machine: string,
): Promise<string | null> {
  return connected(url, async (client) => {
    const usable = await client.query(
      "select has_schema_privilege(oid, 'usage') as yes from pg_namespace where nspname = 'bloud'",
    )
    if (!usable.rows[0]?.yes) return null
    const { rows } = await client.query(
      "select to_regprocedure('bloud.refusal_of_folder(text, text, text)') is not null as known, " +
        "to_regprocedure('bloud.refusal_of_copy(text, text)') is not null as knows_copies",
    )
    if (!rows[0].known) return null
    const refusal = await client.query(
      "select r.message || '. ' || r.hint as problem from bloud.refusal_of_folder($1, $2, $3) r",
      [folder, database, machine],
    )
    if (refusal.rows[0]?.problem || !rows[0].knows_copies) return refusal.rows[0]?.problem ?? null
    const copy = await client.query(
      "select r.message || '. ' || r.hint as problem from bloud.refusal_of_copy($1, $2) r",
      [folder, machine],
    )
    return copy.rows[0]?.problem ?? null
  })
}
