/**
 * Passes directories to a program that runs as another user.
 *
 * The other user can't open the data directory by its path if a parent directory is private, such as /root.
 * On Linux the agent therefore opens the directory as root and passes the open file to the child process. The
 * child process then uses the path /proc/self/fd/3, which needs no access to the parent directories.
 */
import { closeSync, constants, openSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname } from 'node:path'
import { PostgresError } from './error.ts'
import type { ServerUser } from './serveruser.ts'

export interface PassedDirectories {
  /** Paths for the child process, in the order of the directories that were passed. */
  names: string[]
  /**
   * Open files that the child process receives as descriptors 3, 4, … Empty if the child process can use the
   * ordinary paths.
   */
  files: number[]
  close(): void
}

/**
 * Returns paths by which the user that runs the PostgreSQL server can open the given files, also below a
 * directory that this user may not enter.
 * @param paths directories or files that belong to that user.
 */
export async function passDirectories(paths: string[], user: ServerUser | null): Promise<PassedDirectories> {
  if (user && process.platform === 'linux') return passOpenFiles(paths)
  if (user) for (const path of paths) await refuseUnreachable(path)
  return { names: paths, files: [], close() {} }
}

function passOpenFiles(paths: string[]): PassedDirectories {
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
        `PostgreSQL can't run as root, and other users may not enter ${above}. ` +
          'Set BLOUD_DATA_DIR to a directory that every user may enter, or run as an ordinary user.',
      )
    }
    if (above === dirname(above)) return
  }
}
