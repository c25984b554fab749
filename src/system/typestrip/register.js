/**
 * Makes Node load TypeScript files from the cache: `node --import ./src/system/typestrip/register.js`. Node
 * itself strips the types of a file that is not in the cache.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CACHE, cachedName } from './cache.js'

/** @param {string} url */
function readCached(url) {
  try {
    return readFileSync(join(CACHE, cachedName(readFileSync(fileURLToPath(url)))), 'utf8')
  } catch {
    return null // The file is not in the cache, or does not exist, which Node reports.
  }
}

registerHooks({
  load(url, context, next) {
    const source = url.startsWith('file:') && url.endsWith('.ts') ? readCached(url) : null
    return source === null ? next(url, context) : { format: 'module', source, shortCircuit: true }
  },
})
