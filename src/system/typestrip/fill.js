/**
 * Program that brings the cache up to date: `node src/system/typestrip/fill.js`. It writes the files that are
 * missing or damaged, and deletes those whose TypeScript file has changed or is gone.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { CACHE, cachedName, ROOT, readCached, writeCached } from './cache.js'

/** Folders with TypeScript files. An installed agent has only the first. */
const FOLDERS = ['src', 'scripts', 'tests']

/** @param {string} folder */
function sourcesIn(folder) {
  try {
    return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(ROOT, folder, name)))
  } catch {
    return []
  }
}

mkdirSync(CACHE, { recursive: true })
const outdated = new Set(readdirSync(CACHE))
for (const source of FOLDERS.flatMap(sourcesIn)) {
  outdated.delete(cachedName(source))
  if (readCached(source) === null) writeCached(source, stripTypeScriptTypes(source.toString()))
}
for (const name of outdated) rmSync(join(CACHE, name), { force: true })
