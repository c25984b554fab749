/**
 * Writes the output of an app to a log file. A full log file is renamed with the ending `.1`, and a new log
 * file is begun.
 */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { olderLogFile } from '../logreader.ts'

/** Upper limit of the size of a log file in bytes, about one day of output of a verbose app. */
export const MAX_LOG_BYTES = 5 * 1024 * 1024

export interface LogFile {
  write(chunk: Buffer): void
  close(): void
}

/** Opens a log file. write() ignores errors, because a full disk must not stop the app. */
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
        // The output is lost, for example because the disk is full.
      }
    },
    close() {
      if (descriptor !== null) closeSync(descriptor)
      descriptor = null
    },
  }
}
