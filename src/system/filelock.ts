/**
 * File locks that the kernel releases when a process ends, even after SIGKILL. Node has no file locks, so a
 * lock is an exclusive transaction on an SQLite file. A file with a process id would not be safe, because the
 * kernel can give the id of an ended process to another process.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { pollUntil } from './timeout.ts'

export interface FileLock {
  release(): void
}

/** Error code SQLITE_BUSY: another process holds the lock. */
const BUSY = 5

/** Locks that this process holds. Garbage collection would release a lock to which no reference exists. */
const held = new Set<DatabaseSync>()

let sqlite: typeof import('node:sqlite') | undefined

/**
 * Returns the module node:sqlite without the ExperimentalWarning of Node, which would be the first line of
 * every log file.
 */
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

/** Takes the lock of a file. Returns null if another process still holds the lock after `limitMs`. */
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
 * True if a process holds the lock of the file. The check takes only a shared lock, so that two checks at the
 * same time do not block each other.
 */
export function isLocked(path: string): boolean {
  let database: DatabaseSync
  try {
    database = new (loadSqlite().DatabaseSync)(path, { readOnly: true })
  } catch {
    return false // The lock file does not exist yet.
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
