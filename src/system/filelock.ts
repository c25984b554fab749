/**
 * File locks that the kernel releases when their process ends, even after SIGKILL. A file that contains a
 * process id can't guarantee that. Node has no file locks of its own, but the SQLite that comes with Node
 * uses them: an exclusive transaction on an empty file is such a lock.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { pollUntil } from './timeout.ts'

export interface FileLock {
  release(): void
}

/** SQLITE_BUSY: another process holds the lock. */
const BUSY = 5

/** Held locks. Without this reference, garbage collection would close the file and release the lock. */
const held = new Set<DatabaseSync>()

let sqlite: typeof import('node:sqlite') | undefined

/** Loads node:sqlite without its ExperimentalWarning, which would be the first line of every log file. */
function loadSqlite(): typeof import('node:sqlite') {
  if (sqlite) return sqlite
  const emit = process.emitWarning
  process.emitWarning = () => undefined
  try {
    sqlite = process.getBuiltinModule('node:sqlite')
  } finally {
    process.emitWarning = emit
  }
  return sqlite
}

/** Takes the lock. Returns null if another process still holds the lock after `limitMs`. */
export function acquireFileLock(path: string, limitMs = 0): Promise<FileLock | null> {
  return pollUntil(() => tryLock(path), limitMs)
}

function tryLock(path: string): FileLock | null {
  mkdirSync(dirname(path), { recursive: true })
  const database = new (loadSqlite().DatabaseSync)(path)
  if (!isUnlocked(database, 'pragma locking_mode = exclusive; begin exclusive')) return null
  held.add(database)
  return {
    release: () => {
      if (held.delete(database)) database.close()
    },
  }
}

/**
 * True if a process holds the lock now. The check takes a shared lock, so concurrent checks don't count as
 * holders.
 */
export function isLocked(path: string): boolean {
  let database: DatabaseSync
  try {
    database = new (loadSqlite().DatabaseSync)(path, { readOnly: true })
  } catch {
    return false // The file does not exist yet.
  }
  const free = isUnlocked(database, 'select 1 from sqlite_master')
  if (free) database.close()
  return !free
}

function isUnlocked(database: DatabaseSync, sql: string): boolean {
  try {
    database.exec(sql)
    return true
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === BUSY) return false
    throw error
  }
}
