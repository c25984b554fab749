/**
 * Finds the processes that listen on a TCP port. Only on Linux: /proc/net/tcp has the inode of each socket,
 * and /proc/<pid>/fd has the inodes of the sockets that a process has open.
 */
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { basename } from 'node:path'
import { membersOf, type ProcessGroup } from './processgroup.ts'
import { readSockets } from './sockettable.ts'

/** Loopback addresses, in the order in which they are tried. */
export const LOOPBACK = ['127.0.0.1', '::1'] as const
export type Loopback = (typeof LOOPBACK)[number]

export type PortOwner =
  /** Processes of the group listen on these loopback addresses. */
  | { owner: 'group'; addresses: Loopback[] }
  | { owner: 'none' }
  /** `program` describes the program, for example `nginx (process 4711)`. */
  | { owner: 'other'; program: string }
  /** Not known, for example because the group has processes of another user. */
  | { owner: 'unknown' }

/**
 * Number of bytes that are read of each table of sockets, enough for 6,000. The kernel lists listening
 * sockets first.
 */
const MAX_TABLE_BYTES = 1024 * 1024
const LISTENING = '0A'
/** Local addresses in /proc/net/tcp and tcp6 that accept connections to a loopback address. */
const REACHED_BY: Record<string, Loopback[]> = {
  '00000000': ['127.0.0.1'],
  '0100007F': ['127.0.0.1'],
  '0000000000000000FFFF00000100007F': ['127.0.0.1'],
  '0000000000000000FFFF000000000000': ['127.0.0.1'],
  '00000000000000000000000000000000': ['127.0.0.1', '::1'],
  '00000000000000000000000001000000': ['::1'],
}

interface Listener {
  addresses: Loopback[]
  inode: string
  uid: string
}

/** Returns who listens on a port of the loopback addresses: the group, another program, or no process. */
export async function portOwner(port: number, group: ProcessGroup): Promise<PortOwner> {
  if (!(await canTell())) return { owner: 'unknown' }
  const listeners = await listenersOn(port).catch(() => null)
  if (!listeners) return { owner: 'unknown' }
  if (listeners.length === 0) return { owner: 'none' }
  const { own, isReadable } = await socketsOfGroup(group, new Set(listeners.map(({ inode }) => inode)))
  const others = listeners.filter(({ inode }) => !own.has(inode))
  if (own.size > 0) return { owner: 'group', addresses: reachedAt(listeners, own, others) }
  return isReadable && others[0]
    ? { owner: 'other', program: await programOf(others[0]) }
    : { owner: 'unknown' }
}

/** Returns the loopback addresses on which the group accepts connections. */
function reachedAt(listeners: Listener[], own: ReadonlySet<string>, others: Listener[]): Loopback[] {
  // A listener on `::` does not accept IPv4 if another program could listen on the IPv4 address too.
  const taken = others.flatMap(({ addresses }) => (addresses.length === 1 ? addresses : []))
  const reached = listeners
    .filter(({ inode }) => own.has(inode))
    .flatMap(({ addresses }) =>
      addresses.length === 1 ? addresses : addresses.filter((each) => !taken.includes(each)),
    )
  return LOOPBACK.filter((each) => reached.includes(each))
}

/** `isReadable` is false if the group has a process whose sockets can't be read. */
async function socketsOfGroup(
  group: ProcessGroup,
  inodes: ReadonlySet<string>,
): Promise<{ own: Set<string>; isReadable: boolean }> {
  // Usually the first process of the group has all the sockets. Then the others are not searched for.
  const first = group.pgid === undefined ? [] : (socketsOf(group.pgid, inodes) ?? [])
  const own = new Set(first)
  let isReadable = true
  if (own.size === inodes.size) return { own, isReadable }
  for (const pid of await membersOf(group)) {
    const sockets = socketsOf(pid, inodes)
    if (!sockets) isReadable = false
    for (const inode of sockets ?? []) own.add(inode)
  }
  return { own, isReadable }
}

async function listenersOn(port: number): Promise<Listener[]> {
  const found: Listener[] = []
  for await (const rows of readSockets(port, MAX_TABLE_BYTES)) {
    for (const { local, state, inode, uid } of rows) {
      const addresses = REACHED_BY[local]
      if (state === LISTENING && addresses) found.push({ addresses, inode, uid })
    }
  }
  return found
}

/**
 * Returns which of the sockets a process has open. Returns null if the process can't be read. The kernel has
 * these links in its memory, so they are read without waiting: 7 µs each instead of 35 and a wake-up.
 */
function socketsOf(pid: number | string, inodes: ReadonlySet<string>): string[] | null {
  try {
    return readdirSync(`/proc/${pid}/fd`)
      .map((file) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${file}`))?.[1] ?? '')
      .filter((inode) => inodes.has(inode))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? [] : null
  }
}

/** Returns the target of a link, or an empty text if the link is gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

async function programOf({ inode, uid }: Listener): Promise<string> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (!socketsOf(pid, new Set([inode]))?.length) continue
    const path = await readlink(`/proc/${pid}/exe`).catch(() => 'unknown')
    return `${basename(path).replace(/ \(deleted\)$/, '')} (process ${pid})`
  }
  return `a program of the user with the id ${uid}`
}

let telling: Promise<boolean> | undefined
/**
 * True if a socket of this process is found in /proc, which is not so on every kernel. Takes 25 ms when
 * it is called first.
 */
export function canTell(): Promise<boolean> {
  telling ??= findsItself().catch(() => false)
  return telling
}

async function findsItself(): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const server = createServer().listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const [listener] = await listenersOn((server.address() as AddressInfo).port)
    const open = listener && socketsOf(process.pid, new Set([listener.inode]))
    return open !== undefined && open !== null && open.length > 0
  } finally {
    server.close()
  }
}
