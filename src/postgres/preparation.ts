/** Prepares what the PostgreSQL server needs: programs, system user, data directory and passwords. */
import * as fs from 'node:fs/promises'
import { type Binaries, copiedBinaries, installedBinaries } from './binaries.ts'
import { clusterDirectory, clusterMajor, createCluster, ownerOfCluster, removeUnfinished } from './cluster.ts'
import { type Credentials, newCredentials, readCredentials, writeCredentials } from './credentials.ts'
import { PostgresError } from './error.ts'
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
  const facts = await factsFor(dataDir, major !== null)
  if (major === null) await createCluster(dataDir, binaries, defaultUser, facts.superuserPassword)
  const user = defaultUser && (await ownerOfCluster(dataDir, defaultUser))
  return { binaries, user, facts }
}

async function factsFor(dataDir: string, clusterExists: boolean): Promise<Credentials> {
  const known = await readCredentials(dataDir)
  if (known) return known
  if (clusterExists) {
    throw new PostgresError(
      'facts_lost',
      `${dataDir}/database.json is missing. Without its passwords no client can connect to the database in ` +
        `${clusterDirectory(dataDir)}. Restore the file from a backup.`,
    )
  }
  const facts = newCredentials()
  // The passwords are stored before the data directory is created, because a crash in between would otherwise
  // leave a data directory with unknown passwords.
  await writeCredentials(dataDir, facts)
  return facts
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
