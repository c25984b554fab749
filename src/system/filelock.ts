/**
 * Locks that the kernel holds: they are gone the moment their process is, however it ended. A file with a process id in
 * it can't promise that. Node itself has no file locks, but SQLite, which comes with it, takes them: an exclusive
 * transaction on an empty file is such a lock.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { pollUntil } from './timeout.ts'

export interface FileLock {
  release(): void
}

/** SQLITE_BUSY: somebody else has it. */
const BUSY = 5

/** Held locks. Without a reference, garbage collection would close the file and so release the lock. */
const held = new Set<DatabaseSync>()

let sqlite: typeof import('node:sqlite') | undefined

/** Loads node:sqlite without its ExperimentalWarning, which would be the first line of every log. */
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

/** Takes the lock, waiting for it up to the limit; null if somebody else has it for that long. */
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

/** Whether some process has the lock now. Only looks: two that look at once don't see each other. */
export function isLocked(path: string): boolean {
  let database: DatabaseSync
  try {
    database = new (loadSqlite().DatabaseSync)(path, { readOnly: true })
  } catch {
    return false // Nobody made the file yet.
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
