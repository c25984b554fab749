/**
 * Reads the files of the catalog directory. An invalid file, and a file that can't be read in time, is
 * reported as an error, and the other files are still used.
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { CatalogApp, CatalogProblem } from '../domain/catalog.ts'
import { readRegularFile } from '../system/regularfile.ts'
import { withTimeout } from '../system/timeout.ts'
import { type CatalogParser, createCatalogParser } from './catalogparser.ts'

/** Upper limit of the size of a catalog file, in bytes. Normal catalog files have a few kilobytes. */
const MAX_FILE_BYTES = 256 * 1024
/** Upper limit of the number of files. The catalog of the agent has about 20. */
const MAX_FILES = 2_000
const LIMITS = {
  /** Time limit for a file or the list of the files, in milliseconds. A network file system can be slow. */
  readMs: 5_000,
  /** Time limit for all files, in milliseconds. Installs wait for the first read of the catalog. */
  totalMs: 30_000,
}
/**
 * Upper limit of reads that never end. Each of them occupies one of the four threads that Node.js uses for
 * files.
 */
const MAX_STUCK = 2

export interface CatalogFile {
  filename: string
  app: CatalogApp
  yaml: string
}
export interface Catalog {
  files: CatalogFile[]
  warnings: CatalogProblem[]
  errors: CatalogProblem[]
}

/** Paths whose reads have exceeded the time limit and have not ended. */
const stuck = new Set<string>()

/**
 * Reads all YAML files of the directory.
 * @throws if the directory can't be read.
 */
export async function readCatalog(dir: string, limits = LIMITS): Promise<Catalog> {
  const end = performance.now() + limits.totalMs
  const names = (await limited(dir, limits.readMs, () => readdir(dir)))
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
  const catalog: Catalog = { files: [], warnings: [], errors: [] }
  const parser = createCatalogParser()
  const used = new Set<string>()
  try {
    for (const name of names.slice(0, MAX_FILES)) {
      const left = end - performance.now()
      if (left > 0) await addFile(catalog, used, parser, join(dir, name), Math.min(limits.readMs, left))
      else fail(catalog, name, `was not read, because the other files took ${limits.totalMs / 1000} s`)
    }
  } finally {
    await parser.stop()
  }
  for (const name of names.slice(MAX_FILES)) fail(catalog, name, `is not read: only ${MAX_FILES} files are`)
  return catalog
}

function fail(catalog: Catalog, file: string, reason: string): void {
  catalog.errors.push({ file, line: 1, reason })
}

/** Calls `read`, unless an earlier read of the same path is still waiting. */
async function limited<T>(path: string, limitMs: number, read: () => Promise<T>): Promise<T> {
  if (stuck.has(path)) throw new Error('an earlier read of it has not ended')
  if (stuck.size >= MAX_STUCK) throw new Error(`not read, because ${[...stuck].join(' and ')} can't be read`)
  stuck.add(path)
  const reading = read().finally(() => stuck.delete(path))
  return withTimeout(reading, limitMs, () => new Error(`reading takes longer than ${limitMs / 1000} s`))
}

async function readText(path: string, limitMs: number): Promise<string> {
  const bytes = await limited(path, limitMs, () => readRegularFile(path, MAX_FILE_BYTES))
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Error('the text is not UTF-8')
  }
}

async function addFile(
  catalog: Catalog,
  used: Set<string>,
  parser: CatalogParser,
  path: string,
  limitMs: number,
): Promise<void> {
  const filename = basename(path)
  let yaml: string
  try {
    yaml = await readText(path, limitMs)
  } catch (error) {
    return fail(catalog, filename, `can't be read: ${(error as Error).message}`)
  }
  const parsed = await parser.parse(yaml, filename)
  if ('error' in parsed) return void catalog.errors.push(parsed.error)
  // Two files can define the same app, for example `x.yml` and `x.yaml`.
  if (used.has(parsed.ok.name)) {
    return fail(catalog, filename, `name: "${parsed.ok.name}" is already used by another file`)
  }
  used.add(parsed.ok.name)
  catalog.files.push({ filename, app: parsed.ok, yaml })
  catalog.warnings.push(...parsed.warnings)
}
