/**
 * Reads the files of the catalog directory. An invalid file is reported as an error, and the other files are
 * still used.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CatalogApp, type CatalogProblem, parseCatalogFile } from '../domain/catalog.ts'

/** Upper limit of the size of a catalog file, in bytes. Normal catalog files have a few kilobytes. */
const MAX_FILE_BYTES = 256 * 1024

export interface CatalogFile {
  app: CatalogApp
  yaml: string
}
export interface Catalog {
  files: CatalogFile[]
  warnings: CatalogProblem[]
  errors: CatalogProblem[]
}

/**
 * Reads all YAML files of the directory.
 * @throws if the directory can't be read.
 */
export async function readCatalog(dir: string): Promise<Catalog> {
  const names = (await readdir(dir)).filter((name) => /\.ya?ml$/.test(name)).sort()
  const catalog: Catalog = { files: [], warnings: [], errors: [] }
  for (const name of names) await addFile(catalog, dir, name)
  return catalog
}

async function addFile(catalog: Catalog, dir: string, filename: string): Promise<void> {
  const fail = (reason: string) => catalog.errors.push({ file: filename, line: 1, reason })
  let yaml: string
  try {
    yaml = await readFile(join(dir, filename), 'utf8')
  } catch (error) {
    return void fail(`can't be read: ${(error as Error).message}`)
  }
  if (Buffer.byteLength(yaml) > MAX_FILE_BYTES) return void fail(`is larger than ${MAX_FILE_BYTES} bytes`)
  const parsed = parseCatalogFile(yaml, filename)
  if ('error' in parsed) return void catalog.errors.push(parsed.error)
  // Two files can define the same app, for example `x.yml` and `x.yaml`.
  if (catalog.files.some((other) => other.app.name === parsed.ok.name)) {
    return void fail(`name: "${parsed.ok.name}" is already used by another file`)
  }
  catalog.files.push({ app: parsed.ok, yaml })
  catalog.warnings.push(...parsed.warnings)
}
