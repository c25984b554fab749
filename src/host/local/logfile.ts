/** An app's log: appended to, and rotated before it grows over its limit. One older file is kept. */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { olderLogFile } from '../logreader.ts'

/** A day of a chatty app, and little enough for a small disk: with the older one at most twice this. Bytes. */
export const MAX_LOG_BYTES = 5 * 1024 * 1024

export interface LogFile {
  write(chunk: Buffer): void
  close(): void
}

/** Never throws after opening: a full disk costs lines, not the app. */
export function openLogFile(file: string, maxBytes = MAX_LOG_BYTES): LogFile {
  mkdirSync(dirname(file), { recursive: true })
  let descriptor: number | null = openSync(file, 'a', 0o600)
  let size = statSync(file).size

  const rotate = () => {
    if (descriptor !== null) closeSync(descriptor)
    descriptor = null
    renameSync(file, olderLogFile(file))
    descriptor = openSync(file, 'a', 0o600)
    size = 0
  }
  return {
    write(chunk) {
      try {
        if (size > 0 && size + chunk.length > maxBytes) rotate()
        if (descriptor !== null) size += writeSync(descriptor, chunk)
      } catch {
        // Disk full, or the file's folder was removed.
      }
    },
    close() {
      if (descriptor !== null) closeSync(descriptor)
      descriptor = null
    },
  }
}
