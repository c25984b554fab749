/**
 * Selects the system user that runs npm and the apps. If the agent runs as root, they run as another user,
 * because install scripts and apps are programs of strangers.
 */
import { constants, existsSync, realpathSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { run } from '../../system/childprocess.ts'
import {
  changeOwner,
  createUser,
  describeUser,
  findUser,
  isRoot,
  type SystemUser,
} from '../../system/systemuser.ts'
import { HostError } from '../hosterror.ts'
import { asUser } from './confinement.ts'
import type { Paths } from './paths.ts'

export const APP_USER = 'bloud-apps'
/** Folder of copied programs, which every user can read and only root can change. */
const COPIES = '/var/cache/bloud'
const COMMAND_LIMIT_MS = 20_000
const TRAVERSABLE = 0o710
const PRIVATE = 0o077

/**
 * Returns the user, or null if the agent's own user runs npm and the apps. Data of an ordinary user stays
 * with that user.
 * @throws HostError if no user can be created.
 */
export async function appUser(dataDir: string): Promise<SystemUser | null> {
  if (!isRoot()) return null
  const { uid, gid } = await fs.stat(dataDir)
  if (uid !== 0) return { uid, gid }
  const user = (await findUser(APP_USER)) ?? (await createUser(APP_USER))
  if (user) return user
  throw new HostError(
    'no_user',
    `npm and the apps don't run as root. This machine has no user "${APP_USER}", and creating it failed. ` +
      `Create it (useradd --system ${APP_USER}), or start the agent as an ordinary user.`,
  )
}

/**
 * Gives the user access to what npm and the apps need, and to nothing else in the data directory. Files from
 * before, when npm and the apps ran as root, are handed over.
 */
export async function grantAccess(user: SystemUser, paths: Paths, dataDir: string): Promise<void> {
  const apps = join(dataDir, 'apps')
  const mine = [paths.config, paths.runs, paths.generations, paths.supervisor, join(dataDir, 'logs')]
  const shared = [dataDir, paths.state, paths.store, apps]
  const theirs = [paths.npmCache, paths.npmHome]
  for (const dir of [...mine, ...shared, ...theirs]) await fs.mkdir(dir, { recursive: true, mode: 0o700 })
  await makePrivate(dataDir, [paths.state, apps])
  await makePrivate(paths.state, [paths.store, ...theirs, paths.nodeHeaders])
  for (const dir of shared) {
    if ((await fs.stat(dir)).uid !== 0) continue
    await fs.chown(dir, 0, user.gid)
    await fs.chmod(dir, TRAVERSABLE)
  }
  for (const dir of theirs) await handOver(user, dir)
  for (const dir of await foldersIn(apps)) await handOver(user, dir)
  // These folders were completed by one user, so their files are not checked one by one.
  const complete = [...(await foldersIn(paths.store)), ...(await foldersIn(paths.nodeHeaders))]
  for (const dir of [...complete, paths.nodeHeaders])
    if (existsSync(dir) && (await fs.stat(dir)).uid === 0) await changeOwner(user, dir)
}

async function foldersIn(directory: string): Promise<string[]> {
  const entries = existsSync(directory) ? await fs.readdir(directory, { withFileTypes: true }) : []
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name))
}

/** Takes the access of other users to root's files in a directory away. */
async function makePrivate(directory: string, except: string[]): Promise<void> {
  for (const entry of await fs.readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (except.includes(path) || !(entry.isDirectory() || entry.isFile())) continue
    const { uid, mode } = await fs.lstat(path)
    if (uid === 0 && mode & PRIVATE) await fs.chmod(path, mode & 0o700)
  }
}

/**
 * Changes the owner of root's files. Below a folder of the user they are from an app or an npm of an earlier
 * agent, which still ran as root after its folder was handed over.
 */
async function handOver(user: SystemUser, directory: string): Promise<void> {
  const isRoots = (await fs.stat(directory)).uid === 0
  await changeOwner(user, directory, isRoots ? undefined : 0)
}

/**
 * Checks that the user can reach the data directory.
 * @throws HostError
 */
export async function refuseUnreachable(user: SystemUser, dataDir: string): Promise<void> {
  const [program, args, options] = asUser({ ...user, needed: [dataDir] }, ['test', '-x', dataDir], '/')
  const outcome = await run(program, args, { ...options, limitMs: COMMAND_LIMIT_MS }).catch(
    (error: Error) => ({ code: null, output: error.message }),
  )
  if (outcome.code === 0) return
  throw new HostError(
    'unreachable_directory',
    `npm and the apps run as the user ${await describeUser(user)}, because the agent runs as root. This user ` +
      "can't reach " +
      `${dataDir}. Set BLOUD_DATA_DIR to a folder below folders that every user may enter, for example ` +
      `/var/lib/bloud, or start the agent as an ordinary user. ${outcome.output}`.trimEnd(),
  )
}

/**
 * Returns a Node that the user may run: the given one, or a copy of it if its file or a folder above is
 * private.
 */
export async function nodeFor(user: SystemUser, nodePath: string): Promise<string> {
  const options = { ...user, cwd: '/', limitMs: COMMAND_LIMIT_MS }
  const runs = async (path: string) => (await run(path, ['--version'], options).catch(() => null))?.code === 0
  if (await runs(nodePath)) return nodePath
  const copy = join(COPIES, `node-${process.version}-${process.platform}-${process.arch}`, 'node')
  if (await runs(copy)) return copy
  await fs.mkdir(dirname(copy), { recursive: true })
  for (const dir of [COPIES, dirname(copy)]) await fs.chmod(dir, 0o755)
  const fresh = `${copy}.${process.pid}`
  try {
    await fs.copyFile(nodePath, fresh, constants.COPYFILE_FICLONE)
    await fs.chmod(fresh, 0o755)
    await fs.rename(fresh, copy)
  } finally {
    await fs.rm(fresh, { force: true })
  }
  return copy
}

/**
 * Returns the folders that contain npm: that of the first npm in PATH, and that of the package to which it is
 * a link.
 */
export function foldersOfNpm(path: string): string[] {
  const npm = path
    .split(delimiter)
    .map((folder) => join(folder, 'npm'))
    .find((file) => existsSync(file))
  return npm ? [dirname(npm), dirname(dirname(realpathSync(npm)))] : []
}

/** Settings in npmrc that are secrets, and files that only their owner may read. */
const SECRET_SETTING =
  /^\s*(\/\/.*:)?(_auth|_authtoken|_password|username|email|certfile|keyfile|cert|key)\b/i

/** Copies root's npmrc for the user that runs npm, without passwords and tokens. */
export async function copyNpmrc(user: SystemUser, from: string, home: string): Promise<string> {
  const text = await fs.readFile(from, 'utf8').catch(() => '')
  const kept = text.split('\n').filter((line) => !SECRET_SETTING.test(line))
  const file = join(home, 'npmrc')
  await fs.rm(file, { force: true })
  await fs.writeFile(file, kept.join('\n'), { mode: 0o600, flag: 'wx' })
  await fs.lchown(file, user.uid, user.gid)
  return file
}
