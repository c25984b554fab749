/**
 * Checks the folders of the package store (one folder per installed package). The file `entry.json` is
 * written last, after all other files are on disk, and contains their number and size. A power failure, a
 * full disk or a person can damage a folder; a damaged folder is installed anew.
 */
import { readFile, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { z } from 'zod'
import { readIfExists, toJson, writeAtomic } from '../../system/atomicfile.ts'
import { filesOf, syncFolder, type TreeFile } from '../../system/atomicfolder.ts'

const ENTRY_FILE = 'entry.json'
const entrySchema = z.object({ version: z.literal(1), files: z.number().int(), bytes: z.number().int() })

/** Files that are never empty for a purpose. An empty one has lost its content. */
const NEVER_EMPTY = new Set(['.js', '.cjs', '.mjs', '.json', '.node', '.wasm', '.so', '.h'])

export type EntryState =
  | 'absent'
  | 'whole'
  /** Files or parts of files are missing. */
  | 'damaged'
  /**
   * The folder has no entry.json, because an earlier version of the agent made it, and a file of it is empty.
   * Some packages contain empty files, so the folder may be whole.
   */
  | 'doubtful'

/** Writes the number and size of the files in a folder, after all of them are on disk. */
export async function sealEntry(dir: string): Promise<void> {
  const total = totalOf(dir, await filesOf(dir))
  await syncFolder(dir)
  await writeAtomic(join(dir, ENTRY_FILE), toJson({ version: 1, ...total }))
}

/** Checks a folder. A folder of an earlier version that is whole gets its `entry.json`. */
export async function stateOfEntry(dir: string): Promise<EntryState> {
  if (!(await stat(dir).catch(() => null))) return 'absent'
  const files = await filesOf(dir)
  const text = await readIfExists(join(dir, ENTRY_FILE))
  if (text === null) {
    const state = await stateOfUnsealed(files)
    if (state === 'whole') await sealEntry(dir)
    return state
  }
  const sealed = parseEntry(text)
  if (!sealed) return 'damaged'
  const found = totalOf(dir, files)
  // More is not damage: an app may write into its own folder, for example a cache.
  return found.files >= sealed.files && found.bytes >= sealed.bytes ? 'whole' : 'damaged'
}

function totalOf(dir: string, files: TreeFile[]): { files: number; bytes: number } {
  const counted = files.filter(({ path }) => path !== join(dir, ENTRY_FILE))
  return { files: counted.length, bytes: counted.reduce((sum, { bytes }) => sum + bytes, 0) }
}

function parseEntry(text: string): z.infer<typeof entrySchema> | null {
  try {
    return entrySchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

async function stateOfUnsealed(files: TreeFile[]): Promise<EntryState> {
  for (const { path } of files) {
    if (isManifest(path) && !(await isJson(path))) return 'damaged'
  }
  return files.some(({ path, bytes }) => bytes === 0 && NEVER_EMPTY.has(extname(path))) ? 'doubtful' : 'whole'
}

/** True for the package.json of the folder and of each installed package, not for test data of packages. */
const isManifest = (path: string): boolean =>
  basename(path) === '.package-lock.json' || /\/node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path)

async function isJson(path: string): Promise<boolean> {
  try {
    JSON.parse((await readFile(path, 'utf8')).replace(/^\uFEFF/, ''))
    return true
  } catch {
    return false
  }
}
