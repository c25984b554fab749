/**
 * Cache of the TypeScript files of the agent without their types. Node strips the types each time it loads a
 * file, which takes 11 to 30 MB of memory and half of the time of each start. The name of a cached file is
 * the hash of the TypeScript file, so an outdated file is never used. Its last line is the hash of the
 * others, so a file that was damaged, for example by a power cut, is not used either.
 *
 * Written in JavaScript, because the types of a TypeScript file would have to be stripped.
 */
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../../..')

/** Folder of the cached files. Other versions of Node may strip types in another way. */
export const CACHE = join(ROOT, 'node_modules/.cache/typestrip', process.version)

/** Folder in which Node keeps compiled code. */
export const CODE_CACHE = join(ROOT, 'node_modules/.cache/code')

/** @param {Buffer | string} content */
const hashOf = (content) => createHash('sha256').update(content).digest('hex')

/** @param {string} text */
const lastLineOf = (text) => `\n//# ${hashOf(text)}\n`

/**
 * Returns the name of the cached file.
 * @param {Buffer} source content of the TypeScript file
 */
export const cachedName = (source) => `${hashOf(source)}.js`

/**
 * Returns what was made of the source, such as the same without types, or null if it is not in the cache.
 * @param {Buffer} source content of the TypeScript file
 * @param {string} [folder] Folder of the cached files.
 */
export function readCached(source, folder = CACHE) {
  try {
    const cached = readFileSync(join(folder, cachedName(source)), 'utf8')
    const text = cached.slice(0, cached.lastIndexOf('\n//# '))
    return cached === text + lastLineOf(text) ? text : null
  } catch {
    return null
  }
}

/**
 * @param {Buffer} source content of the TypeScript file
 * @param {string} text the same without types
 * @param {string} [folder] Folder of the cached files.
 */
export function writeCached(source, text, folder = CACHE) {
  const file = join(folder, cachedName(source))
  const fresh = `${file}.${process.pid}`
  writeFileSync(fresh, text + lastLineOf(text))
  renameSync(fresh, file)
}
