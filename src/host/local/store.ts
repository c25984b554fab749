/**
 * Installs npm packages into the package store, which has one folder per installed package. A package is
 * installed into a temporary folder, which is renamed when complete, so that the package store never contains
 * an incomplete package.
 */
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { CatalogApp, NpmForm } from '../../domain/catalog.ts'
import { toJson } from '../../system/atomicfile.ts'
import { publishFolder } from '../../system/atomicfolder.ts'
import { diskSpace, isDiskFull } from '../../system/diskspace.ts'
import { changeOwner, type SystemUser } from '../../system/systemuser.ts'
import { explainFullDisk, InstallError } from './installerror.ts'
import { type NpmOptions, npmInstall } from './npm.ts'
import { type Program, programIn } from './program.ts'
import { type EntryState, sealEntry, stateOfEntry } from './storeentry.ts'

/** Prefix of the names of temporary folders. */
export const TEMP_PREFIX = '.tmp-'
const FILE = 'file:'
/** Name of the copy of a local package in the temporary folder of an install. */
const LOCAL_COPY = 'local-package'
/**
 * Upper limit of the number of files of a local package (a folder instead of a name in the npm registry) that
 * are compared to detect a change of the package.
 */
const MAX_COMPARED_FILES = 2_000

export interface StoreOptions extends NpmOptions {
  store: string
  run: string
}

/** Returns the folder of this app in the package store, and whether its content is there and whole. */
export async function findInStore(
  store: string,
  app: CatalogApp,
  npm: NpmForm,
): Promise<{ dir: string; state: EntryState }> {
  const spec = specOf(npm)
  const content = isFile(npm) ? await contentOf(pathOf(npm)) : ''
  // The name of the folder depends on platform and Node version, because compiled native modules work with no
  // other.
  const machine = [process.platform, process.arch, process.versions.modules]
  const form = [spec, npm.bin, npm.entry, npm.overrides, npm.installScripts]
  const hash = createHash('sha256')
    .update(JSON.stringify([form, machine, content]))
    .digest('hex')
    .slice(0, 12)
  const dir = join(store, `${app.name}-${npm.version ?? 'file'}-${hash}`)
  return { dir, state: await stateOfEntry(dir) }
}

const isFile = (npm: NpmForm): boolean => npm.package.startsWith(FILE)
const pathOf = (npm: NpmForm): string => npm.package.slice(FILE.length)

export const specOf = (npm: NpmForm): string => (isFile(npm) ? npm.package : `${npm.package}@${npm.version}`)

/**
 * Returns the name under which npm installs the package. A local package keeps the name in its package.json,
 * because its code may import itself by this name.
 */
async function packageName(npm: NpmForm): Promise<string> {
  if (!isFile(npm)) return npm.package
  try {
    return JSON.parse(await readFile(join(pathOf(npm), 'package.json'), 'utf8')).name
  } catch {
    return 'app' // The file is a tarball or missing. npm reports an error for a missing file.
  }
}

/**
 * Installs an app into the folder `dir`, completely or not at all. A folder that is there already is
 * replaced.
 * @throws InstallError
 */
export async function installIntoStore(
  dir: string,
  app: CatalogApp,
  npm: NpmForm,
  options: StoreOptions,
): Promise<void> {
  const temp = join(options.store, `${TEMP_PREFIX}${options.run}-${app.name}`)
  await mkdir(options.store, { recursive: true })
  const before = await diskSpace(options.store)
  try {
    await mkdir(temp, { recursive: true })
    const readable = await readableForm(npm, join(temp, LOCAL_COPY), options.confinement ?? null)
    await writeFile(join(temp, 'package.json'), toJson(await wrapperOf(readable)))
    if (options.confinement) await changeOwner(options.confinement, temp)
    await install(temp, npm, options)
    await rm(join(temp, LOCAL_COPY), { recursive: true, force: true })
    await findProgram(temp, npm)
    options.signal.throwIfAborted()
    await sealEntry(temp)
    options.signal.throwIfAborted()
    await publishFolder(temp, dir, TEMP_PREFIX)
  } catch (error) {
    if (!isDiskFull(error)) throw error
    throw new InstallError(explainFullDisk(specOf(npm), before, await diskSpace(options.store)), [])
  } finally {
    await rm(temp, { recursive: true, force: true })
  }
}

/**
 * Returns the form with a copy of the local package if another user runs npm, because this user perhaps can't
 * read each file of the package. The copy keeps its name, because npm knows a tarball by its ending.
 */
export async function readableForm(npm: NpmForm, copy: string, user: SystemUser | null): Promise<NpmForm> {
  if (!user || !isFile(npm)) return npm
  const source = pathOf(npm)
  if (!(await stat(source).catch(() => null))) return npm
  const target = join(copy, basename(source))
  await cp(source, target, { recursive: true, verbatimSymlinks: true })
  return { ...npm, package: `${FILE}${target}` }
}

/** Errors of npm if its cache is damaged. npm itself repairs packages, but not lists of versions. */
const DAMAGED_CACHE = /EINTEGRITY|EBADSIZE|Unexpected end of JSON input/

/** Runs `npm install`. Deletes a damaged cache, for example after a power failure, and runs it once more. */
async function install(dir: string, npm: NpmForm, options: StoreOptions): Promise<void> {
  const all = { ...options, installScripts: npm.installScripts }
  try {
    await npmInstall(dir, specOf(npm), all)
  } catch (error) {
    if (!(error instanceof InstallError) || !error.log.some((line) => DAMAGED_CACHE.test(line))) throw error
    options.log('the cache of npm is damaged: deleting it and installing again')
    await rm(join(options.cache, '_cacache'), { recursive: true, force: true })
    await npmInstall(dir, specOf(npm), all)
  }
}

/** Returns a package.json whose only dependency is the app's package. */
async function wrapperOf(npm: NpmForm): Promise<object> {
  const allow = npm.installScripts.map((name) => [name, true])
  return {
    name: 'bloud-store-entry',
    private: true,
    dependencies: { [await packageName(npm)]: isFile(npm) ? npm.package : npm.version },
    ...(Object.keys(npm.overrides).length > 0 && { overrides: npm.overrides }),
    ...(allow.length > 0 && { allowScripts: Object.fromEntries(allow) }),
  }
}

/**
 * Returns the program that starts an installed app.
 * @throws InstallError if there is no such file.
 */
export async function findProgram(dir: string, npm: NpmForm): Promise<Program> {
  return programIn(join(dir, 'node_modules', await packageName(npm)), specOf(npm), npm)
}

/**
 * Returns a text that changes when a file of a local package changes, so that the changed package is
 * installed again.
 */
async function contentOf(path: string): Promise<string> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name))
    .slice(0, MAX_COMPARED_FILES)
  const lines = await Promise.all([path, ...files].map(describeFile))
  return lines.sort().join('\n')
}

async function describeFile(file: string): Promise<string> {
  const found = await stat(file).catch(() => null)
  return `${file} ${found?.isFile() ? `${found.size} ${found.mtimeMs}` : ''}`
}
