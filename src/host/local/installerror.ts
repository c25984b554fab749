/** Errors of an install, for the operator. */
import { type DiskSpace, formatBytes } from '../../system/diskspace.ts'

/** Failed install of an app. `log` contains the last lines of npm's output. */
export class InstallError extends Error {
  readonly log: string[]
  constructor(message: string, log: string[]) {
    super(message)
    this.log = log
  }
}

/**
 * Returns the sentence about an install for which the disk was too small.
 * @param spec the package with its version.
 * @param before free space at the begin of the install.
 * @param lowest least free space during the install.
 */
export function explainFullDisk(spec: string, before: DiskSpace, lowest: DiskSpace): string {
  const [free, all] = [formatBytes(lowest.freeBytes), formatBytes(lowest.totalBytes)]
  const used = 1 - lowest.freeBytes / Math.max(before.freeBytes, 1)
  const usedInodes = 1 - (lowest.freeInodes ?? 1) / Math.max(before.freeInodes ?? 1, 1)
  const ofInodes = usedInodes > used
  const left = ofInodes ? `room for ${lowest.freeInodes} more files` : `${free} of ${all}`
  const need = ofInodes ? `${before.freeInodes} files` : formatBytes(before.freeBytes)
  return (
    `The disk is full: ${left} was left on the disk of ${before.path}; ${spec} needs more than the ${need} ` +
    'that were free when its install began. Free some space, then retry'
  )
}
