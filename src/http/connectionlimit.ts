/**
 * Limits the number of open TCP connections, in total and per client address, idle connections included.
 * Otherwise one client could use up all file descriptors, and the database could not be reached.
 */
import { readFileSync } from 'node:fs'
import { createAddressCount } from './addresscount.ts'
import { callerOf } from './admission.ts'

const CONNECTION_LIMITS = {
  /** Upper limit of connections per client address: twice the limit of streams (admission.ts). */
  perAddress: 400,
  /** Number of file descriptors that are kept for the database and for files. About 30 are in use. */
  reservedDescriptors: 500,
  /** Number of connections that only clients on this machine may use, so that an operator can always act. */
  reservedForLocal: 100,
}

export type ConnectionLimits = typeof CONNECTION_LIMITS

/** Returns the upper limit of open files of this process, or Infinity if it is not known. */
function descriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

export type ConnectionLimit = ReturnType<typeof createConnectionLimit>

export function createConnectionLimit(given: Partial<ConnectionLimits> = {}, folder?: string) {
  const limits = { ...CONNECTION_LIMITS, ...given }
  const descriptors = descriptorLimit()
  const most = descriptors - Math.min(limits.reservedDescriptors, Math.ceil(descriptors / 2))
  const mostRemote = most - Math.min(limits.reservedForLocal, Math.ceil(most / 4))
  const addresses = createAddressCount(limits.perAddress, folder)
  let total = 0

  return {
    /** Counts a new connection. Returns false if the connection must be closed. */
    mayOpen(address: Uint8Array, port: number): boolean {
      total += 1
      const caller = callerOf(address, '')
      if (total > (caller.isLocal ? most : mostRemote)) return false
      return caller.isLocal || addresses.open(caller.key, port)
    },
    closed(port: number): void {
      total -= 1
      addresses.closed(port)
      if (total === 0) addresses.allClosed()
    },
    get total() {
      return total
    },
  }
}
