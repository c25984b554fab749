/**
 * Creates the data directory (cluster) of the PostgreSQL server, `<data>/postgres`, with the program initdb.
 */
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { readIfExists, syncDirectory } from '../system/atomicfile.ts'
import { run } from '../system/childprocess.ts'
import { changeOwner } from '../system/systemuser.ts'
import { SUPERUSER } from './credentials.ts'
import { passDirectories } from './directory.ts'
import { PostgresError } from './error.ts'
import { type Binaries, program } from './program.ts'
import type { ServerUser } from './serveruser.ts'

/**
 * Upper limit of the duration of initdb, in ms. initdb takes about 2 s, and 30 s on a slow disk under load
 * (measured).
 */
const INITDB_LIMIT_MS = 180_000

/**
 * Options for the deletion of a data directory that initdb has not completed. The retries last 8 s, because
 * initdb can still write for that long after the agent was killed.
 */
const REMOVAL = { recursive: true, force: true, maxRetries: 12, retryDelay: 100 }

/** Prefix of the name of a data directory that initdb has not completed. */
const UNFINISHED = 'postgres.new-'

export const clusterDirectory = (dataDir: string) => join(dataDir, 'postgres')

/**
 * Environment of the PostgreSQL programs. LC_ALL makes their messages English, because the agent searches the
 * messages. The agent's PG* variables are left out, because they would change the defaults of the programs.
 */
export const SERVER_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' }

/**
 * Returns the major version of the PostgreSQL that created the data directory. Returns null if there is none,
 * or if the file with the version is damaged.
 */
export async function clusterMajor(dataDir: string): Promise<number | null> {
  const text = await readIfExists(join(clusterDirectory(dataDir), 'PG_VERSION'))
  return Number.parseInt(text ?? '', 10) || null
}

export type ClusterState =
  | 'absent'
  | 'whole'
  /** PostgreSQL can't start with the data directory, which never contained a database of the agent. */
  | 'unfinished'
  /** PostgreSQL can't start with the data directory, which contains a database of the agent. */
  | 'damaged'

/** Number of the first database that initdb does not make. A database is a folder named by its number. */
const FIRST_OWN_DATABASE = 16384

/** Checks whether PostgreSQL's version and control file are there, without which it can't start. */
export async function clusterState(dataDir: string): Promise<ClusterState> {
  const directory = clusterDirectory(dataDir)
  if (!(await fs.stat(directory).catch(() => null))) return 'absent'
  const control = await fs.stat(join(directory, 'global/pg_control')).catch(() => null)
  if ((await clusterMajor(dataDir)) !== null && control && control.size > 0) return 'whole'
  const databases = await fs.readdir(join(directory, 'base')).catch(() => [])
  return databases.some((name) => Number(name) >= FIRST_OWN_DATABASE) ? 'damaged' : 'unfinished'
}

/** Deletes a data directory that can't be used and never contained a database of the agent. */
export async function removeCluster(dataDir: string): Promise<void> {
  const old = join(dataDir, `${UNFINISHED}${randomUUID()}`)
  await fs.rename(clusterDirectory(dataDir), old)
  await syncDirectory(dataDir)
  await fs.rm(old, REMOVAL)
}

/**
 * Creates the data directory under a temporary name and then renames it, so that a data directory with the
 * final name is always complete.
 */
export async function createCluster(
  dataDir: string,
  binaries: Binaries,
  user: ServerUser | null,
  password: string,
): Promise<void> {
  const fresh = join(dataDir, `${UNFINISHED}${randomUUID()}`)
  const passwordFile = `${fresh}.password`
  try {
    await fs.mkdir(fresh, { mode: 0o700 })
    await fs.writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' })
    if (user) {
      await changeOwner(user, fresh)
      await fs.chown(passwordFile, user.uid, user.gid)
    }
    await runInitdb(fresh, passwordFile, binaries, user)
    await fs.rename(fresh, clusterDirectory(dataDir)) // initdb has synced its files to disk.
    await syncDirectory(dataDir)
  } finally {
    await removeUnfinished(dataDir)
  }
}

/**
 * Deletes data directories that an interrupted initdb left incomplete. The caller must hold the file lock of
 * `dataDir`, because otherwise an initdb of another agent could be running there.
 */
export async function removeUnfinished(dataDir: string): Promise<void> {
  for (const name of await fs.readdir(dataDir)) {
    if (name.startsWith(UNFINISHED)) await fs.rm(join(dataDir, name), REMOVAL)
  }
}

async function runInitdb(
  directory: string,
  passwordFile: string,
  binaries: Binaries,
  user: ServerUser | null,
): Promise<void> {
  const passed = await passDirectories([directory, passwordFile], user)
  const [target, pwfile] = passed.names
  const args = [
    '-D',
    `${target}`,
    '-U',
    SUPERUSER,
    `--pwfile=${pwfile}`,
    '--auth=scram-sha-256',
    '-E',
    'UTF8',
  ]
  // With the built-in locale provider, the sort order of text does not depend on the machine's locales.
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8')
  try {
    const outcome = await run(program(binaries, 'initdb'), args, {
      ...user,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      files: passed.files,
      limitMs: INITDB_LIMIT_MS,
    })
    if (outcome.code !== 0) throw new PostgresError('initdb_failed', `initdb failed:\n${outcome.output}`)
  } finally {
    passed.close()
  }
}

/**
 * Returns the owner of an existing data directory, which may be another user than `user`. A data directory
 * that belongs to root, for example a restored copy, is given to `user`.
 */
export async function ownerOfCluster(dataDir: string, user: ServerUser): Promise<ServerUser> {
  const directory = clusterDirectory(dataDir)
  const { uid, gid } = await fs.stat(directory)
  if (uid !== 0) return { uid, gid }
  await changeOwner(user, directory)
  await fs.chmod(directory, 0o700)
  return user
}
