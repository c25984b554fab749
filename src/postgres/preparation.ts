/** Prepares what the PostgreSQL server needs: programs, system user, data directory and passwords. */
import * as fs from 'node:fs/promises'
import { copiedBinaries, installedBinaries } from './binaries.ts'
import {
  clusterDirectory,
  clusterMajor,
  clusterState,
  createCluster,
  ownerOfCluster,
  removeCluster,
  removeUnfinished,
} from './cluster.ts'
import { type Credentials, newCredentials, readCredentials, writeCredentials } from './credentials.ts'
import { PostgresError } from './error.ts'
import type { Binaries } from './program.ts'
import { type ServerUser, serverUser } from './serveruser.ts'

export interface Prepared {
  binaries: Binaries
  /** System user that runs the server, or null if the server runs as the user of the agent. */
  user: ServerUser | null
  facts: Credentials
}

/**
 * Creates the data directory, the passwords and the database cluster, unless they exist. The caller must hold
 * the file lock of `dataDir`, so that two agents do not create them at the same time.
 */
export async function prepare(dataDir: string): Promise<Prepared> {
  await fs.mkdir(dataDir, { recursive: true, mode: 0o700 })
  const [installed, defaultUser] = await Promise.all([installedBinaries(), serverUser()])
  const binaries = defaultUser ? await copiedBinaries(installed) : installed
  await removeUnfinished(dataDir)
  const major = await clusterMajor(dataDir)
  refuseOtherMajor(major, binaries.major, dataDir)
  const { facts, exists } = await factsFor(dataDir, major !== null)
  if (!exists) await createCluster(dataDir, binaries, defaultUser, facts.superuserPassword)
  const user = defaultUser && (await ownerOfCluster(dataDir, defaultUser))
  return { binaries, user, facts }
}

/**
 * Returns the passwords, and whether there is a data directory to which they belong. Makes new passwords if
 * there is none. Deletes a data directory whose first start was interrupted.
 */
async function factsFor(
  dataDir: string,
  hasVersion: boolean,
): Promise<{ facts: Credentials; exists: boolean }> {
  const state = await clusterState(dataDir)
  if (state === 'damaged') throw damaged(dataDir)
  const known = await readCredentials(dataDir).catch((error) => {
    if (hasVersion) throw error
    return null // The first start was interrupted, so no data directory needs the damaged passwords.
  })
  if (hasVersion && !known) {
    throw new PostgresError(
      'facts_lost',
      `${dataDir}/database.json is missing. Without its passwords no client can connect to the database in ` +
        `${clusterDirectory(dataDir)}. Restore the file from a backup.`,
    )
  }
  if (state === 'unfinished') await removeCluster(dataDir)
  if (known) return { facts: known, exists: state === 'whole' }
  const facts = newCredentials()
  // The passwords are stored before the data directory is created, because a crash in between would otherwise
  // leave a data directory with unknown passwords.
  await writeCredentials(dataDir, facts)
  return { facts, exists: false }
}

function damaged(dataDir: string): PostgresError {
  return new PostgresError(
    'cluster_damaged',
    `The database in ${clusterDirectory(dataDir)} is damaged: PG_VERSION or global/pg_control is missing or ` +
      'empty. Restore the folder from a backup, or move it and database.json away and restore a backup of ' +
      'the database with "npm run db:restore".',
  )
}

function refuseOtherMajor(found: number | null, installed: number, dataDir: string): void {
  if (found === null || found === installed) return
  throw new PostgresError(
    'other_major',
    `The database in ${clusterDirectory(dataDir)} was made by PostgreSQL ${found}; this version of Bloud ` +
      `brings PostgreSQL ${installed}, which can't read it. Start the Bloud version you used before, save ` +
      `the data with "pg_dump", move ${clusterDirectory(dataDir)} away, start this version and load the ` +
      'data with psql.',
  )
}
