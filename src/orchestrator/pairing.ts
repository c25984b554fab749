/**
 * Pairs the data folder of this machine with the database. The file pairing.json of the folder has the ids of
 * both, and the database stores the id of the folder.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { type FolderIdentity, pairFolder } from '../db/pairing.ts'
import type { Pool } from '../db/pool.ts'
import { claimFile, makeDirectory, readIfExists, toJson, writeAtomic } from '../system/atomicfile.ts'
import { acquireFileLock, type FileLock } from '../system/filelock.ts'

const Identity = z.object({ folder: z.string().min(1), database: z.string().min(1).nullable() })

function parse(content: string | null): FolderIdentity | null {
  if (content === null) return null
  try {
    return Identity.parse(JSON.parse(content))
  } catch {
    return null
  }
}

/** Returns the ids of a data folder, or null if no orchestrator has used the folder yet. */
export async function readIdentity(file: string): Promise<FolderIdentity | null> {
  return parse(await readIfExists(file))
}

/** Returns the ids of a data folder. A folder without a usable file gets a new id. */
export async function ensureIdentity(file: string): Promise<FolderIdentity> {
  const content = toJson({ folder: randomUUID(), database: null })
  const found = await readIdentity(file)
  if (found) return found
  await makeDirectory(dirname(file), 0o711) // the mode of the state directory on NixOS
  // Of several orchestrators that start at the same time, all use the id of the first.
  if (!(await claimFile(file, content)) && !(await readIdentity(file))) await writeAtomic(file, content)
  return (await readIdentity(file)) as FolderIdentity
}

/** Stores in a data folder that it belongs to the database with this id. */
export function storeIdentity(file: string, identity: FolderIdentity): Promise<void> {
  return writeAtomic(file, toJson(identity))
}

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
