/**
 * Users of the operating system, as which a program of an agent that runs as root runs with fewer rights.
 */
import { constants, type Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from './childprocess.ts'

export interface SystemUser {
  uid: number
  gid: number
}

const COMMAND_LIMIT_MS = 20_000

export const isRoot = () => process.getuid?.() === 0

export async function findUser(name: string): Promise<SystemUser | null> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => {
      const { code, output } = await run('id', [flag, name], { limitMs: COMMAND_LIMIT_MS })
      return code === 0 ? Number(output) : 0
    }),
  )
  return uid && gid ? { uid, gid } : null
}

/** Creates a system user without a home directory and a shell. Returns null if that is not possible. */
export async function createUser(name: string): Promise<SystemUser | null> {
  const args = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent']
  try {
    await run('useradd', [...args, '--shell', '/usr/sbin/nologin', name], { limitMs: COMMAND_LIMIT_MS })
  } catch {
    return null
  }
  return findUser(name)
}

/** Returns the name and uid of a user for a message, for example `bloud-apps (uid 999)`. */
export async function describeUser({ uid }: SystemUser): Promise<string> {
  const named = await run('id', ['-un', String(uid)], { limitMs: COMMAND_LIMIT_MS }).catch(() => null)
  return named?.code === 0 ? `${named.output.trim()} (uid ${uid})` : `with uid ${uid}`
}

const bitsFor = ({ uid, gid, mode }: Stats, user: SystemUser): number =>
  (uid === user.uid ? mode >> 6 : gid === user.gid ? mode >> 3 : mode) & 0o7

/** True if the user may enter a directory with these attributes. */
export const mayEnter = (found: Stats, user: SystemUser) => (bitsFor(found, user) & 0o1) !== 0

/** If this process runs as root, gives a new file or folder to the owner of the folder that contains it. */
export async function giveToFolderOwner(path: string): Promise<void> {
  if (!isRoot()) return
  const { uid, gid } = await fs.stat(dirname(path))
  if (uid !== 0) await fs.lchown(path, uid, gid)
}

/** Errors of an entry that was deleted or replaced since the directory was listed. */
const REPLACED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

/**
 * Changes the owner of a directory and its content. Does not follow symbolic links in the directory, not even
 * a link that a program puts in the place of a folder at the same time.
 * @param from uid of the entries to change, by default all entries.
 */
export async function changeOwner(user: SystemUser, directory: string, from?: number): Promise<void> {
  await changeFolder(user, directory, 0, from)
}

async function changeFolder(user: SystemUser, path: string, flag: number, from?: number): Promise<void> {
  const folder = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY | flag)
  try {
    const opened = process.platform === 'linux' ? `/proc/self/fd/${folder.fd}` : path
    for (const entry of await fs.readdir(opened, { withFileTypes: true })) {
      const work = entry.isDirectory()
        ? changeFolder(user, join(opened, entry.name), constants.O_NOFOLLOW, from)
        : changeEntry(user, join(opened, entry.name), from)
      await work.catch((error: NodeJS.ErrnoException) => {
        if (!REPLACED.has(error.code ?? '')) throw error
      })
    }
    // The directory is the last, so that an interrupted change is noticed.
    if (from === undefined || (await folder.stat()).uid === from) await folder.chown(user.uid, user.gid)
  } finally {
    await folder.close()
  }
}

async function changeEntry(user: SystemUser, path: string, from?: number): Promise<void> {
  if (from !== undefined) {
    const { uid, nlink } = await fs.lstat(path)
    // A file with several hard links can be a file of the system.
    if (uid !== from || nlink > 1) return
  }
  await fs.lchown(path, user.uid, user.gid)
}
