/**
 * Counts the open TCP connections of each client address. uWebSockets.js reports the address of a new
 * connection, but not of a closed one. So the connections of an address are added up, and counted again from
 * the kernel's table before they reach the limit.
 */
import { readSockets } from '../system/sockettable.ts'
import { keyOf } from './admission.ts'

/**
 * Shortest time in milliseconds between two reads of the kernel's table. A read with 20,000 connections uses
 * about 20 ms of processor time.
 */
const READ_INTERVAL_MS = 250
/** Number of bytes that are read of each table of the kernel, enough for 96,000 sockets. */
const MAX_TABLE_BYTES = 16 * 1024 * 1024
const LISTENING = '0A'
/** Upper limit of the number of addresses in memory. */
const MAX_ADDRESSES = 20_000

/** Parses an address of /proc/net/tcp, which has 32-bit words in the byte order of the machine. */
function parseKernelAddress(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex')
  return bytes.swap32()
}

/**
 * Counts the accepted connections of a port by client address.
 * @throws if the kernel has no such table, as on macOS.
 */
async function countByAddress(port: number, folder: string | undefined): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for await (const rows of readSockets(port, MAX_TABLE_BYTES, folder)) {
    for (const { remote, state, inode } of rows) {
      // A connection that no process has accepted, or that is closed already, has no inode.
      if (inode === '0' || state === LISTENING) continue
      const key = keyOf(parseKernelAddress(remote))
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  return counts
}

/**
 * Counts the connections of each address. An opened connection is added at once. The kernel's table, which
 * lacks closed connections, is read again after changes that could matter for the limit.
 */
export function createAddressCount(perAddress: number, folder: string | undefined) {
  let counts = new Map<string, number>()
  /** Connections that were opened during a read, because the table may lack them. */
  let opened: string[] = []
  let isFull = false
  let hasTable = true
  let state: 'idle' | 'waiting' | 'reading' | 'outdated' = 'idle'
  let readAt = Number.NEGATIVE_INFINITY

  function add(key: string): number {
    if (counts.size >= MAX_ADDRESSES) counts.clear()
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return count
  }

  /** Keeps the counts if the table cannot be read. */
  async function recount(port: number): Promise<void> {
    opened = []
    try {
      counts = await countByAddress(port, folder)
      for (const key of opened) add(key)
    } catch (error) {
      // After another error, for example too many open files, the connections are counted as before.
      hasTable = (error as NodeJS.ErrnoException).code !== 'ENOENT'
    }
  }

  async function read(port: number): Promise<void> {
    state = 'reading'
    await recount(port)
    readAt = performance.now()
    isFull = [...counts.values()].some((count) => count >= perAddress)
    const isOutdated = (state as string) === 'outdated'
    state = 'idle'
    if (isOutdated) readSoon(port)
  }

  function readSoon(port: number): void {
    if (state === 'reading') state = 'outdated'
    if (state !== 'idle' || !hasTable) return
    state = 'waiting'
    const waitMs = Math.max(0, readAt + READ_INTERVAL_MS - performance.now())
    setTimeout(() => void read(port), waitMs).unref()
  }

  return {
    /** Counts a new connection. Returns false, without counting, if the address has too many already. */
    open(key: string, port: number): boolean {
      const count = (counts.get(key) ?? 0) + 1
      // The read begins at half of the limit, so that it ends before an address is refused by mistake.
      if (count > perAddress / 2) readSoon(port)
      if (hasTable && count > perAddress) {
        isFull = true
        return false
      }
      add(key)
      if (state === 'reading' || state === 'outdated') opened.push(key)
      return true
    },
    /** Has the addresses counted again if one of them is at its limit. */
    closed(port: number): void {
      if (isFull) readSoon(port)
    },
    allClosed(): void {
      counts.clear()
      isFull = false
    },
  }
}
