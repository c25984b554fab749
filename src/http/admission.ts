/** How many streams may be open, in all and for each address. */
import { Problem } from '../domain/problem.ts'
import type { ConnectionEvents, Sink } from '../relay/sendqueue.ts'
import type { StreamReply } from './reply.ts'

const ADMISSION_LIMITS = {
  /** Streams of one address, at most. A browser shares six between all its tabs; a house behind one router has several. */
  perAddress: 200,
  /** Streams in all, at most. */
  total: 12_000,
  /** Of these, kept free for who sits at the machine: a crowd must not lock its operator out. */
  reserve: 50,
}

export type AdmissionLimits = typeof ADMISSION_LIMITS

/** The seat of a stream that is counted. A class, as there are ten thousand. */
class CountedSeat implements ConnectionEvents {
  readonly #seat: ConnectionEvents
  readonly #key: string
  #leave: ((key: string) => void) | undefined

  constructor(seat: ConnectionEvents, key: string, leave: (key: string) => void) {
    this.#seat = seat
    this.#key = key
    this.#leave = leave
  }

  writable(): void {
    this.#seat.writable()
  }

  closed(): void {
    if (!this.#leave) return
    this.#leave(this.#key)
    this.#leave = undefined
    this.#seat.closed()
  }
}

/** Who holds a stream. */
export interface Caller {
  /** Everything that counts as one. */
  key: string
  /** Comes from this machine itself, through no proxy. */
  isLocal: boolean
}

export type Admission = ReturnType<typeof createAdmission>

export function createAdmission(given: Partial<AdmissionLimits> = {}) {
  const limits = { ...ADMISSION_LIMITS, ...given }
  const open = new Map<string, number>()
  let total = 0

  function leave(key: string): void {
    const left = (open.get(key) ?? 1) - 1
    if (left > 0) open.set(key, left)
    else open.delete(key)
    total -= 1
  }

  return {
    /** @throws Problem too_many_clients. Who sits at the machine is bound by the total only. */
    check({ key, isLocal }: Caller): void {
      if (total >= (isLocal ? limits.total : limits.total - limits.reserve)) {
        throw new Problem('too_many_clients', 'Too many streams are open')
      }
      if (!isLocal && (open.get(key) ?? 0) >= limits.perAddress) {
        throw new Problem('too_many_clients', `Your address holds ${limits.perAddress} streams already`, {
          hint: 'Close some; one stream carries all apps.',
        })
      }
    },
    /** Counts the stream from its beginning to its end. */
    counted({ key }: Caller, reply: StreamReply): StreamReply {
      function openCounted(sink: Sink): ConnectionEvents {
        open.set(key, (open.get(key) ?? 0) + 1)
        total += 1
        return new CountedSeat(reply.open(sink), key, leave)
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

/** IPv4 whole; of IPv6 the network of 64 bits, as one machine has as many addresses in it as it likes. */
function keyOf(address: Uint8Array): string {
  const isMapped = address.length === 16 && V4_MAPPED.equals(address.subarray(0, 12))
  const bytes = isMapped ? address.subarray(12) : address
  if (bytes.length === 4) return bytes.join('.')
  return Buffer.from(bytes.subarray(0, PREFIX_BYTES)).toString('hex')
}

const isLoopback = (address: Uint8Array, key: string): boolean =>
  key.startsWith('127.') || (address.length === 16 && address.every((byte, at) => byte === Number(at === 15)))

/**
 * Who calls. A proxy on this machine says for whom it asks, in the last entry of `X-Forwarded-For`, which is the one
 * it wrote itself; from anybody else that header is a claim and not looked at.
 */
export function callerOf(address: Uint8Array, forwardedFor: string): Caller {
  const key = keyOf(address)
  if (!isLoopback(address, key)) return { key, isLocal: false }
  const behind = forwardedFor.split(',').at(-1)?.trim()
  return behind ? { key: `for ${behind.slice(0, 64)}`, isLocal: false } : { key, isLocal: true }
}
