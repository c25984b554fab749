/** Pairs the data folder of this machine with the database, which stores the id of the folder. */
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { pairFolder } from '../db/pairfolder.ts'
import type { Pool } from '../db/pool.ts'
import { acquireFileLock, type FileLock } from '../system/filelock.ts'
import { ensureIdentity, storeIdentity } from './identity.ts'

export interface Pairing {
  /** Id of the data folder. */
  folder: string
  /** Reason in sentences why the database refuses this data folder, or null. */
  problem: string | null
}

/** Checks that the database belongs to the data folder, and pairs the two at the first start. */
export async function checkPairing(pool: Pool, file: string): Promise<Pairing> {
  const identity = await ensureIdentity(file)
  const { database, message, hint } = await pairFolder(pool, identity, hostname())
  if (message !== null) return { folder: identity.folder, problem: `${message}. ${hint ?? ''}`.trim() }
  if (identity.database === null) await storeIdentity(file, { ...identity, database })
  return { folder: identity.folder, problem: null }
}

/**
 * Takes the lock that the orchestrator of a data folder holds as long as its process lives. Returns null if
 * another orchestrator of the folder holds the lock.
 */
export function lockFolder(pairingFile: string): Promise<FileLock | null> {
  return acquireFileLock(join(dirname(pairingFile), 'orchestrator.lock'))
}
