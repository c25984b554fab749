/**
 * Cache of the TypeScript files of the agent without their types. Node strips the types each time it loads a
 * file, which takes 20 MB of memory and half of the time of each start. The name of a cached file is the hash
 * of the TypeScript file, so an outdated file is never used.
 *
 * Written in JavaScript, because the types of a TypeScript file would have to be stripped.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../../..')

/** Folder of the cached files. Other versions of Node may strip types in another way. */
export const CACHE = join(ROOT, 'node_modules/.cache/typestrip', process.version)

/**
 * Returns the name of the cached file in CACHE.
 * @param {Buffer} source content of the TypeScript file
 */
export const cachedName = (source) => `${createHash('sha256').update(source).digest('hex')}.js`
