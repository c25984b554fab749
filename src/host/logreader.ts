/** Reads whole lines of a log file. */
import { open, stat } from 'node:fs/promises'
import { MAX_LINE_BYTES, splitLines } from '../system/linereader.ts'
import type { LogSlice } from './contract.ts'

/** Number of bytes at the end of a log file from which the last lines are read. */
const TAIL_BYTES = 64 * 1024

/** Returns the path to which a full log file is renamed before a new log file is begun. */
export const olderLogFile = (file: string): string => `${file}.1`

/**
 * Reads whole lines from a byte offset. With `final`, text after the last newline also counts as a line. A
 * missing file has no lines.
 */
export async function readLines(
  file: string,
  offset: number,
  maxBytes: number,
  final: boolean,
): Promise<LogSlice> {
  // At least one line of the maximal length must fit. Otherwise the read could contain no newline, and the
  // caller would never get past this line.
  const bytes = await readBytes(file, offset, Math.max(maxBytes, MAX_LINE_BYTES + 1))
  const atEnd = offset + bytes.length >= (await sizeOf(file))
  const { lines, used } = splitLines(bytes, final && atEnd)
  return { lines, nextOffset: offset + used }
}

/**
 * Returns the last lines of a log, oldest first. If the log file has too few lines, the older log file is
 * read, too.
 */
export async function lastLines(file: string, count: number): Promise<string[]> {
  const newer = await tail(file)
  if (newer.length >= count) return newer.slice(-count)
  return [...(await tail(olderLogFile(file))), ...newer].slice(-count)
}

async function tail(file: string): Promise<string[]> {
  const start = Math.max(0, (await sizeOf(file)) - TAIL_BYTES)
  const bytes = await readBytes(file, start, TAIL_BYTES)
  const { lines } = splitLines(bytes, true)
  return start > 0 ? lines.slice(1) : lines // The first line is probably incomplete.
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => null))?.size ?? 0
}

async function readBytes(file: string, offset: number, maxBytes: number): Promise<Buffer> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (!handle) return Buffer.alloc(0)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxBytes), 0, maxBytes, offset)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}
