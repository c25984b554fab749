/**
 * Publishes whole folders. After a power failure, a published folder has all its files with their content.
 */
import { randomUUID } from 'node:crypto'
import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { makeDirectory, syncDirectory, syncFile } from './atomicfile.ts'
import { run } from './childprocess.ts'

/** Upper limit in ms of one sync. A slow disk writes 1 GB in about a minute. */
const SYNC_LIMIT_MS = 10 * 60_000
/** Number of files that are read at the same time. More than the 4 threads of Node are of no use. */
const PARALLEL = 16

/**
 * Moves a complete folder, which the caller has synced to disk, to the path at which other programs expect
 * it. A folder that is there already is replaced.
 * @param prefix beginning of the temporary name of a replaced folder, until it is deleted.
 */
export async function publishFolder(from: string, to: string, prefix: string): Promise<void> {
  await makeDirectory(dirname(to))
  const old = join(dirname(to), `${prefix}${basename(to)}-${randomUUID()}`)
  // A rename can't replace a folder that is not empty, so the old folder is moved away first.
  await rename(to, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(from, to)
  await syncDirectory(dirname(to))
  await rm(old, { recursive: true, force: true })
}

/**
 * Syncs a folder with all its files to disk. `sync -f` writes the whole file system at once: thousands of
 * single syncs would take minutes on a slow disk.
 */
export async function syncFolder(folder: string): Promise<void> {
  const synced = await run('sync', ['-f', folder], { limitMs: SYNC_LIMIT_MS }).catch(() => null)
  if (synced?.code === 0) return
  // The program `sync` is missing, or does not know the option, as on macOS.
  for (const { path, isFile } of await treeOf(folder)) await (isFile ? syncFile(path) : syncDirectory(path))
  await syncDirectory(folder)
}

export interface TreeFile {
  path: string
  bytes: number
}

/** Returns the regular files and folders below a folder, without following symbolic links. */
async function treeOf(folder: string): Promise<{ path: string; isFile: boolean }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .map((entry) => ({ path: join(entry.parentPath, entry.name), isFile: entry.isFile() }))
}

/** Returns the regular files below a folder with their sizes. */
export async function filesOf(folder: string): Promise<TreeFile[]> {
  const paths = (await treeOf(folder)).filter(({ isFile }) => isFile).map(({ path }) => path)
  const files: TreeFile[] = []
  for (let n = 0; n < paths.length; n += PARALLEL) {
    const part = paths.slice(n, n + PARALLEL)
    files.push(...(await Promise.all(part.map(describe))).filter((file) => file !== null))
  }
  return files
}

/** Returns null for a file that was deleted after its folder was read. */
async function describe(path: string): Promise<TreeFile | null> {
  try {
    return { path, bytes: (await lstat(path)).size }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
