/** Limits the number of open event streams and log streams, in total and per client address. */
import { isIPv4, isIPv6 } from 'node:net'
import { Problem } from '../domain/problem.ts'
import type { ConnectionEvents, Sink } from '../relay/sendqueue.ts'
import type { StreamReply } from './reply.ts'

const ADMISSION_LIMITS = {
  /**
   * Upper limit of open streams per client address. The limit is high, because many clients behind one router
   * can have the same address.
   */
  perAddress: 200,
  total: 12_000,
  /**
   * Number of streams, out of `total`, that are reserved for clients on this machine. Otherwise other
   * machines could use up all streams and lock out the operator.
   */
  reserve: 50,
}

export type AdmissionLimits = typeof ADMISSION_LIMITS

/**
 * Connection of an open stream, counted until the stream is closed. A class is used, because 10,000 instances
 * need less memory than 10,000 closures.
 */
class CountedConnection implements ConnectionEvents {
  readonly #connection: ConnectionEvents
  readonly #key: string
  #release: ((key: string) => void) | undefined

  constructor(connection: ConnectionEvents, key: string, release: (key: string) => void) {
    this.#connection = connection
    this.#key = key
    this.#release = release
  }

  writable(): void {
    this.#connection.writable()
  }

  closed(): void {
    if (!this.#release) return
    this.#release(this.#key)
    this.#release = undefined
    this.#connection.closed()
  }
}

export interface Caller {
  /** Key under which the streams of a client are counted, made from the client's address. */
  key: string
  /** True if the connection comes from this machine and not through a proxy. */
  isLocal: boolean
}

export type Admission = ReturnType<typeof createAdmission>

export function createAdmission(given: Partial<AdmissionLimits> = {}) {
  const limits = { ...ADMISSION_LIMITS, ...given }
  const open = new Map<string, number>()
  let total = 0

  function release(key: string): void {
    const left = (open.get(key) ?? 1) - 1
    if (left > 0) open.set(key, left)
    else open.delete(key)
    total -= 1
  }

  return {
    /**
     * Checks that the client may open another stream. Clients on this machine have no limit per address.
     * @throws Problem too_many_clients
     */
    check({ key, isLocal }: Caller): void {
      if (total >= (isLocal ? limits.total : limits.total - limits.reserve)) {
        throw new Problem('too_many_clients', 'Too many streams are open', {
          hint: 'Try again after the seconds in the Retry-After header.',
        })
      }
      if (!isLocal && (open.get(key) ?? 0) >= limits.perAddress) {
        throw new Problem('too_many_clients', `Your address already has ${limits.perAddress} streams open`, {
          hint: 'Close some of them: one stream contains the events of all apps.',
        })
      }
    },
    /** Returns the same reply with a stream that is counted while it is open. */
    counted({ key }: Caller, reply: StreamReply): StreamReply {
      function openCounted(sink: Sink): ConnectionEvents {
        open.set(key, (open.get(key) ?? 0) + 1)
        total += 1
        return new CountedConnection(reply.open(sink), key, release)
      }
      return { ...reply, open: openCounted }
    },
    get total() {
      return total
    },
    get addresses() {
      return open.size
    },
  }
}

const PREFIX_BYTES = 8
const V4_MAPPED = Buffer.from('00000000000000000000ffff', 'hex')

/**
 * Returns the key under which streams are counted: the whole IPv4 address, or the first 64 bits of an IPv6
 * address, because one machine can use all IPv6 addresses with the same first 64 bits.
 */
export function keyOf(address: Uint8Array): string {
  const isMapped = address.length === 16 && V4_MAPPED.equals(address.subarray(0, 12))
  const bytes = isMapped ? address.subarray(12) : address
  if (bytes.length === 4) return bytes.join('.')
  return Buffer.from(bytes.subarray(0, PREFIX_BYTES)).toString('hex')
}

const isLoopback = (address: Uint8Array, key: string): boolean =>
  key.startsWith('127.') ||
  (address.length === 16 && address.every((byte, index) => byte === Number(index === 15)))

/**
 * Identifies the client of a connection by its address. For a connection from a reverse proxy on this
 * machine, the address is the last entry of the header `X-Forwarded-For`. The header is ignored in
 * connections from other machines, which could forge it.
 */
export function callerOf(address: Uint8Array, forwardedFor: string): Caller {
  const key = keyOf(address)
  if (!isLoopback(address, key)) return { key, isLocal: false }
  const client = forwardedFor.split(',').at(-1)?.trim()
  if (!client) return { key, isLocal: true }
  const bytes = parseAddress(client)
  return { key: bytes ? keyOf(bytes) : `for ${client.slice(0, 64)}`, isLocal: false }
}

/**
 * Returns the bytes of an IP address as proxies write it: with or without a port, brackets or a zone. Returns
 * null for any other text, for example `unknown`.
 */
function parseAddress(text: string): Uint8Array | null {
  const bare = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/^([\d.]+):\d+$/, '$1')
  const address = bare.replace(/%.*$/, '')
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  if (!isIPv6(address)) return null
  // The URL parser writes an embedded IPv4 address as two groups.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groupsOf = (part = '') => part.split(':').filter(Boolean)
  const [before, after] = [groupsOf(head), groupsOf(tail)]
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  const groups = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0'))
  return Buffer.from(groups.join(''), 'hex')
}
