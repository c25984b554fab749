/**
 * Writes files atomically. After a power failure, a file has either its old or its new content, and a file
 * that was written before the failure is still there.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { acquireFileLock } from './filelock.ts'

/** Time in ms to wait for a process that replaces a damaged file. */
const REPAIR_LIMIT_MS = 5_000

/** Writes a file atomically. Creates the file's directory if the directory is missing. */
export async function writeAtomic(path: string, content: string, mode?: number): Promise<void> {
  await withTemporary(path, content, mode, (temp) => publishFile(temp, path))
}

/** Moves a complete file to the path at which other programs expect it. */
export async function publishFile(from: string, to: string): Promise<void> {
  await syncFile(from)
  await rename(from, to)
  await syncDirectory(dirname(to))
}

/**
 * Creates a file and returns true. Returns false if the file exists. If several processes create the same
 * file at the same time, only one of them gets true. The file is never found incomplete.
 */
export async function claimFile(path: string, content: string | Buffer, mode?: number): Promise<boolean> {
  return withTemporary(path, content, mode, async (temp) => {
    await syncFile(temp)
    try {
      await link(temp, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    } finally {
      await rm(temp, { force: true })
    }
    await syncDirectory(dirname(path))
    return true
  })
}

/**
 * Returns the content of a file that is made only once, for example an id. Creates the file if it is missing,
 * and replaces it if `isWhole` refuses its content, because a power failure can leave it empty.
 */
export async function readOrCreate(
  path: string,
  make: () => string,
  isWhole: (content: string) => boolean,
): Promise<string> {
  let found = await readIfExists(path)
  if (found === null) {
    await claimFile(path, make())
    found = await readIfExists(path)
  }
  if (found !== null && isWhole(found)) return found
  // The lock makes sure that two processes which find the damaged file do not replace it twice.
  const lock = await acquireFileLock(`${path}.lock`, REPAIR_LIMIT_MS)
  if (!lock) throw new Error(`${path} is damaged, and another process is replacing it`)
  try {
    const again = await readIfExists(path)
    if (again !== null && isWhole(again)) return again
    const content = make()
    await writeAtomic(path, content)
    return content
  } finally {
    lock.release()
  }
}

async function withTemporary<T>(
  path: string,
  content: string | Buffer,
  mode: number | undefined,
  publish: (temp: string) => Promise<T>,
): Promise<T> {
  await makeDirectory(dirname(path))
  const temp = `${path}.${randomUUID()}.tmp`
  try {
    const file = await open(temp, 'wx', mode)
    try {
      await file.writeFile(content)
    } finally {
      await file.close()
    }
    return await publish(temp)
  } catch (error) {
    await rm(temp, { force: true })
    throw error
  }
}

/**
 * Creates a directory and its missing parents, so that they survive a power failure. Node's mkdir with
 * `recursive` is not used, because it never returns for a path below /proc.
 */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error
    await makeDirectory(dirname(path), mode)
    return makeDirectory(path, mode)
  }
  await syncDirectory(dirname(path))
}

/** Deletes a file or folder with its content, so that it does not come back after a power failure. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await syncDirectory(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Errors of a directory that this user may not read, or of a file system that can't sync directories. */
const CANT_SYNC = new Set(['EACCES', 'EPERM', 'EINVAL', 'ENOTSUP'])

/**
 * Syncs a directory to disk, so that files which were created, renamed or deleted in the directory stay so
 * after a power failure.
 */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await syncFile(path)
  } catch (error) {
    if (!CANT_SYNC.has((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Syncs the content of a file to disk. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** Reads a text file. Returns null if the file does not exist. */
export async function readIfExists(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
