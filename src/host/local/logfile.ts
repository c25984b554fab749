/** Log file of an app: rotated before it exceeds its limit. One older file is kept. */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { olderLogFile } from '../logreader.ts'

/**
 * Upper limit of a log file in bytes: about a day of a verbose app. With the older file,
 * an app uses at most twice this.
 */
export const MAX_LOG_BYTES = 5 * 1024 * 1024

export interface LogFile {
  write(chunk: Buffer): void
  close(): void
}

/** Opens a log file. Writing never throws: a full disk loses log lines, but does not stop the app. */
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
        // The disk is full, or the folder of the file was deleted.
      }
    },
    close() {
      if (descriptor !== null) closeSync(descriptor)
      descriptor = null
    },
  }
}
