/** Reading logs by byte offset, and the last lines of one. */
import { open, stat } from 'node:fs/promises'
import { MAX_LINE_BYTES, splitLines } from '../system/linereader.ts'
import type { LogSlice } from './contract.ts'

/** How far back the last lines of a log are looked for. Bytes. */
const TAIL_BYTES = 64 * 1024

/** The log before the last rotation. */
export const olderLogFile = (file: string): string => `${file}.1`

/** Whole lines from `offset`; with `final`, also a last one without an end. A missing file has no lines. */
export async function readLines(
  file: string,
  offset: number,
  maxBytes: number,
  final: boolean,
): Promise<LogSlice> {
  // Less than one longest line could never move on.
  const bytes = await readBytes(file, offset, Math.max(maxBytes, MAX_LINE_BYTES + 1))
  const atEnd = offset + bytes.length >= (await sizeOf(file))
  const { lines, used } = splitLines(bytes, final && atEnd)
  return { lines, nextOffset: offset + used }
}

/** The last lines, also those from before a rotation, oldest first. */
export async function lastLines(file: string, count: number): Promise<string[]> {
  const newer = await tail(file)
  if (newer.length >= count) return newer.slice(-count)
  return [...(await tail(olderLogFile(file))), ...newer].slice(-count)
}

async function tail(file: string): Promise<string[]> {
  const start = Math.max(0, (await sizeOf(file)) - TAIL_BYTES)
  const bytes = await readBytes(file, start, TAIL_BYTES)
  const { lines } = splitLines(bytes, true)
  return start > 0 ? lines.slice(1) : lines // The first is likely to be the end of a line.
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
