/**
 * Users of the operating system, as which a program of an agent that runs as root runs with fewer rights.
 */
import type { Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
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

const bitsFor = ({ uid, gid, mode }: Stats, user: SystemUser): number =>
  (uid === user.uid ? mode >> 6 : gid === user.gid ? mode >> 3 : mode) & 0o7

/** True if the user may enter a directory with these attributes. */
export const mayEnter = (found: Stats, user: SystemUser) => (bitsFor(found, user) & 0o1) !== 0

/** True if the user may read a file, or list and enter a directory, with these attributes. */
export const mayRead = (found: Stats, user: SystemUser) =>
  (bitsFor(found, user) & 0o4) !== 0 && (!found.isDirectory() || mayEnter(found, user))

/** Changes the owner of a directory and its content. Does not follow symbolic links. */
export async function changeOwner(user: SystemUser, directory: string): Promise<void> {
  for (const entry of await fs.readdir(directory, { recursive: true })) {
    await fs.lchown(join(directory, entry), user.uid, user.gid)
  }
  await fs.lchown(directory, user.uid, user.gid)
}
