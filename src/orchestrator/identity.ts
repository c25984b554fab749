/** The file pairing.json of a data folder, which has the ids of the folder and of its database. */
import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { FolderIdentity } from '../db/pairing.ts'
import { claimFile, makeDirectory, readIfExists, toJson, writeAtomic } from '../system/atomicfile.ts'

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
