/** The data directory of the server, `<data>/postgres`: made once, by initdb. */
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../system/childprocess.ts'
import { type Binaries, program } from './binaries.ts'
import { SUPERUSER } from './credentials.ts'
import { giveTo, passDirectories } from './directory.ts'
import { PostgresError } from './error.ts'
import type { ServerUser } from './serveruser.ts'

/** initdb takes about 2 s; a slow disk under load has taken 30. */
const INITDB_LIMIT_MS = 180_000

/** Waits 0.1 s longer each time, in all 8 s: longer than an initdb that nobody waits for any more goes on. */
const REMOVAL = { recursive: true, force: true, maxRetries: 12, retryDelay: 100 }

/** Begins the name of a cluster that is not finished. */
const UNFINISHED = 'postgres.new-'

export const clusterDirectory = (dataDir: string) => join(dataDir, 'postgres')

/** A cluster's programs get nothing from our environment: no PG* variables, messages in English. */
export const SERVER_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' }

/** The major version the cluster was made with, or null when there is none. */
export async function clusterMajor(dataDir: string): Promise<number | null> {
  try {
    return Number.parseInt(await fs.readFile(join(clusterDirectory(dataDir), 'PG_VERSION'), 'utf8'), 10)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/**
 * Makes the cluster under another name and renames it when it is complete: whoever kills us half way leaves
 * rubbish that the next start removes, never half a cluster.
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
      await giveTo(user, fresh)
      await fs.chown(passwordFile, user.uid, user.gid)
    }
    await runInitdb(fresh, passwordFile, binaries, user)
    await fs.rename(fresh, clusterDirectory(dataDir))
  } finally {
    await removeUnfinished(dataDir)
  }
}

/**
 * Removes what an interrupted initdb left. That initdb may still be at work, nobody killed it: what it writes goes to
 * the directory we are emptying, so a second look is needed. The caller holds the lock of the data directory.
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
  const handed = await passDirectories([directory, passwordFile], user)
  const [target, pwfile] = handed.names
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
  // The built-in provider sorts alike on every machine, whichever locales it has.
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8')
  try {
    const outcome = await run(program(binaries, 'initdb'), args, {
      ...user,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      files: handed.files,
      limitMs: INITDB_LIMIT_MS,
    })
    if (outcome.code !== 0) throw new PostgresError('initdb_failed', `initdb failed:\n${outcome.output}`)
  } finally {
    handed.close()
  }
}

/**
 * The user whom an existing cluster belongs to: it may have been made before `postgres` was created on this
 * machine, or by an ordinary user whose agent root starts today. One that root copied is given to `user`.
 */
export async function ownerOfCluster(dataDir: string, user: ServerUser): Promise<ServerUser> {
  const directory = clusterDirectory(dataDir)
  const { uid, gid } = await fs.stat(directory)
  if (uid !== 0) return { uid, gid }
  await giveTo(user, directory)
  await fs.chmod(directory, 0o700)
  return user
}
