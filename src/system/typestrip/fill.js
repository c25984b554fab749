/**
 * Program that brings the cache up to date: `node src/system/typestrip/fill.js`. It writes the files that are
 * missing, and deletes those whose TypeScript file has changed or is gone.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { CACHE, cachedName, ROOT } from './cache.js'

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

/** @param {Buffer} source */
function write(source) {
  const file = join(CACHE, cachedName(source))
  const fresh = `${file}.${process.pid}`
  writeFileSync(fresh, stripTypeScriptTypes(source.toString()))
  renameSync(fresh, file) // An interrupted run leaves no half file.
}

mkdirSync(CACHE, { recursive: true })
const cached = new Set(readdirSync(CACHE))
for (const source of FOLDERS.flatMap(sourcesIn)) if (!cached.delete(cachedName(source))) write(source)
for (const name of cached) rmSync(join(CACHE, name), { force: true })
