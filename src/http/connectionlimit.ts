/**
 * Limits the number of open TCP connections, in total and per client address, idle connections included.
 * Otherwise one client could use up all file descriptors, and the database could not be reached.
 *
 * uWebSockets.js reports the address of a new connection, but not of a closed one. So the connections of an
 * address are only added up, and counted again from the kernel's table before one is refused.
 */
import { readFileSync } from 'node:fs'
import { type Caller, callerOf, keyOf } from './admission.ts'

const CONNECTION_LIMITS = {
  /** Upper limit of connections per client address: twice the limit of streams (admission.ts). */
  perAddress: 400,
  /** Number of file descriptors that are kept for the database and for files. About 30 are in use. */
  reservedDescriptors: 500,
  /** Number of connections that only clients on this machine may use, so that an operator can always act. */
  reservedForLocal: 100,
}

export type ConnectionLimits = typeof CONNECTION_LIMITS

/**
 * Shortest time in milliseconds between two reads of the kernel's table. A read with 20,000 connections takes
 * about 20 ms.
 */
const READ_INTERVAL_MS = 250
/** Upper limit of the number of addresses in memory. */
const MAX_ADDRESSES = 20_000

/** Returns the upper limit of open files of this process, or Infinity if it is not known. */
function descriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** Parses an address of /proc/net/tcp, which has 32-bit words in the byte order of the machine. */
function parseKernelAddress(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex')
  return bytes.swap32()
}

/**
 * Counts the accepted connections of a port by client address.
 * @throws if the kernel has no such table, as on macOS.
 */
function countByAddress(port: number): Map<string, number> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const counts = new Map<string, number>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      const [, from = '', to = '', , , , , , , inode] = line.trim().split(/\s+/)
      // A connection that no process has accepted, or that is closed already, has no inode.
      if (!from.endsWith(local) || !inode || inode === '0' || to.endsWith(':0000')) continue
      const key = keyOf(parseKernelAddress(to.slice(0, -5)))
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  return counts
}

export type ConnectionLimit = ReturnType<typeof createConnectionLimit>

export function createConnectionLimit(given: Partial<ConnectionLimits> = {}) {
  const limits = { ...CONNECTION_LIMITS, ...given }
  const descriptors = descriptorLimit()
  const most = descriptors - Math.min(limits.reservedDescriptors, Math.ceil(descriptors / 2))
  const mostRemote = most - Math.min(limits.reservedForLocal, Math.ceil(most / 4))
  let total = 0
  let counts = new Map<string, number>()
  let readAt = Number.NEGATIVE_INFINITY

  /** Returns false if the table of the kernel can't be read, or was read a moment ago. */
  function recount(port: number): boolean {
    if (performance.now() - readAt < READ_INTERVAL_MS) return false
    readAt = performance.now()
    try {
      counts = countByAddress(port)
      return true
    } catch {
      counts.clear()
      return false
    }
  }

  function isAddressFull({ key }: Caller, port: number): boolean {
    if (counts.size >= MAX_ADDRESSES) counts.clear()
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    if (count <= limits.perAddress) return false
    // The new connection is in the table too.
    if (recount(port)) return (counts.get(key) ?? 0) > limits.perAddress
    return counts.size > 0
  }

  return {
    /** Counts a new connection. Returns false if the connection must be closed. */
    mayOpen(address: Uint8Array, port: number): boolean {
      total += 1
      const caller = callerOf(address, '')
      if (total > (caller.isLocal ? most : mostRemote)) return false
      return caller.isLocal || !isAddressFull(caller, port)
    },
    closed(): void {
      total -= 1
      if (total === 0) counts.clear()
    },
    get total() {
      return total
    },
  }
}
