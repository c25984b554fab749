/**
 * How a program that runs as another user is told of a directory.
 *
 * A clone in /root, or in a 0700 directory of mktemp, can't be entered by the server's user, and opening its
 * data directory by path would fail. On Linux the agent, as root, opens the directory and hands the open file
 * to the child: /proc/self/fd/3 leads to it without asking the directories above.
 */
import { closeSync, constants, openSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PostgresError } from './error.ts'
import type { ServerUser } from './serveruser.ts'

export interface PassedDirectories {
  /** What the child calls the first file, the second file, … */
  names: string[]
  /** What it gets as descriptors 3, 4, …; empty when it is told the plain paths. */
  files: number[]
  close(): void
}

/** @param paths directories or files that belong to the server's user. */
export async function passDirectories(paths: string[], user: ServerUser | null): Promise<PassedDirectories> {
  if (user && process.platform === 'linux') return handOverOpen(paths)
  if (user) for (const path of paths) await refuseUnreachable(path)
  return { names: paths, files: [], close() {} }
}

function handOverOpen(paths: string[]): PassedDirectories {
  const files: number[] = []
  const close = () => {
    for (const file of files) closeSync(file)
  }
  try {
    for (const path of paths) files.push(openSync(path, constants.O_RDONLY))
  } catch (error) {
    close()
    throw error
  }
  return { names: paths.map((_, index) => `/proc/self/fd/${index + 3}`), files, close }
}

async function refuseUnreachable(path: string): Promise<void> {
  for (let above = dirname(path); ; above = dirname(above)) {
    const { mode } = await fs.stat(above)
    if (!(mode & 0o001)) {
      throw new PostgresError(
        'unreachable_directory',
        `PostgreSQL can't run as root, and no other user may enter ${above}. ` +
          'Set BLOUD_DATA_DIR to a directory that every user may enter, or run as an ordinary user.',
      )
    }
    if (above === dirname(above)) return
  }
}

/** Gives a directory and all in it to a user. Links are given themselves, never what they lead to. */
export async function giveTo(user: ServerUser, directory: string): Promise<void> {
  for (const entry of await fs.readdir(directory, { recursive: true })) {
    await fs.lchown(join(directory, entry), user.uid, user.gid)
  }
  await fs.lchown(directory, user.uid, user.gid)
}
