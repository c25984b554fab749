/** Recognises a full disk and describes how much space is free. */
import { statfs } from 'node:fs/promises'

/** Free space below which a disk counts as full, in bytes: an install writes more at once. */
const FULL_BYTES = 1024 * 1024
/** Free inodes (files) below which a disk counts as full. */
const FULL_INODES = 16
/** Interval in ms of reads by watchDisk(). npm deletes its files before it reports a full disk. */
const WATCH_MS = 100
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB']

export interface DiskSpace {
  path: string
  freeBytes: number
  totalBytes: number
  /** Number of files that can still be created. Null if the file system has no such limit. */
  freeInodes: number | null
}

export async function diskSpace(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize, files, ffree } = await statfs(path)
  return {
    path,
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeInodes: files > 0 ? ffree : null,
  }
}

export interface DiskWatch {
  before: DiskSpace
  lowest(): DiskSpace
  stop(): void
}

/** Records the least free space of a disk until stop() is called. */
export async function watchDisk(path: string): Promise<DiskWatch> {
  const before = await diskSpace(path)
  let lowest = before
  const least = (a: number | null, b: number | null) => (a === null || b === null ? null : Math.min(a, b))
  const timer = setInterval(async () => {
    const now = await diskSpace(path).catch(() => lowest)
    lowest = {
      ...now,
      freeBytes: Math.min(now.freeBytes, lowest.freeBytes),
      freeInodes: least(now.freeInodes, lowest.freeInodes),
    }
  }, WATCH_MS)
  return { before, lowest: () => lowest, stop: () => clearInterval(timer) }
}

const lacksInodes = ({ freeInodes }: DiskSpace) => freeInodes !== null && freeInodes < FULL_INODES

export const isFull = (space: DiskSpace) => space.freeBytes < FULL_BYTES || lacksInodes(space)

/** True for the error of a write on a full disk, or of a user whose quota is used up. */
export const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | null)?.code ?? '')

/** True for a line of output with which a program reports a full disk. */
export const reportsFullDisk = (line: string): boolean =>
  /\b(ENOSPC|EDQUOT)\b|no space left on device|disk quota exceeded/i.test(line) && !/watch/i.test(line)

/**
 * Returns a sentence about a full disk.
 * @param space free space at the time of the failure.
 */
export function describeFullDisk(space: DiskSpace): string {
  const { path, freeBytes, totalBytes, freeInodes } = space
  if (lacksInodes(space)) return `The disk is full: ${freeInodes} more files fit on the disk of ${path}`
  return `The disk is full: ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free on the disk of ${path}`
}

/** Returns a size in decimal units with at most three digits, for example "1.52 MB". */
export function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1)
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${UNITS[power]}`
}
