/**
 * Makes Node load TypeScript files from the cache: `node --import ./src/system/typestrip/register.js`. Node
 * itself strips the types of a file that is not in the cache.
 */
import { readFileSync } from 'node:fs'
import { enableCompileCache, registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { CODE_CACHE, readCached } from './cache.js'

/** @param {string} url */
function sourceOf(url) {
  try {
    return readCached(readFileSync(fileURLToPath(url)))
  } catch {
    return null // Node reports a file that can't be read.
  }
}

registerHooks({
  load(url, context, next) {
    const source = url.startsWith('file:') && url.endsWith('.ts') ? sourceOf(url) : null
    return source === null ? next(url, context) : { format: 'module', source, shortCircuit: true }
  },
})

// Compiled code, which Node reads at each start and writes at the end of a process.
enableCompileCache(CODE_CACHE)
