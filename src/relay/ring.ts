/**
 * The newest events as bytes, in one block of memory that is never given back: what comes next is written over the
 * oldest, so that a stream of any length leaves no garbage. Everything after `floor` is here, so a client whose last
 * event is `floor` or later is served without asking the database.
 */
import type { Filter } from './filter.ts'
import type { Frame } from './frame.ts'

/** Bytes for one write, and the number of the last event in them. */
export interface Batch {
  /** To be written before the next event comes: it may be written over then. */
  bytes: Uint8Array
  seq: number
}

export interface RingLimits {
  frames: number
  bytes: number
  /** Bytes of one batch; a single larger event still makes a batch of its own, which may be kept. */
  batchBytes: number
}

export type Ring = ReturnType<typeof createRing>

export function createRing(limits: RingLimits) {
  let block = Buffer.allocUnsafeSlow(limits.bytes)
  /** Where in the block the next frame goes. */
  let tip = 0
  /** Frames are counted for ever; a frame's facts stand at its count modulo the limit. */
  let first = 0
  let next = 0
  const seqs = new Float64Array(limits.frames)
  const starts = new Uint32Array(limits.frames)
  const ends = new Uint32Array(limits.frames)
  const apps = new Array<string | undefined>(limits.frames).fill(undefined)
  let bytes = 0
  let floor = 0
  /** Clients mostly stand at the same place, so each batch is put together once and thrown away with the next event. */
  const batches = new Map<number | string, Batch>()
  /** Frames that are larger than a batch, out of the block: whoever is in the middle of one shares it with all others. */
  const large = new Map<number, Uint8Array>()

  const slot = (count: number) => count % limits.frames
  const seqOf = (count: number) => seqs[slot(count)] as number
  const startOf = (count: number) => starts[slot(count)] as number
  const endOf = (count: number) => ends[slot(count)] as number

  function dropFirst(): void {
    floor = seqOf(first)
    bytes -= endOf(first) - startOf(first)
    large.delete(first)
    first += 1
  }

  /** What is behind the tip is older than what is before it. */
  function makeRoom(length: number): void {
    if (tip + length > block.length) {
      while (first < next && startOf(first) >= tip) dropFirst()
      tip = 0
    }
    // Larger than all that is allowed: it takes a block of its size, and is alone in it.
    if (length > block.length) block = Buffer.allocUnsafeSlow(length)
    while (first < next && startOf(first) >= tip && startOf(first) < tip + length) dropFirst()
    if (next - first === limits.frames) dropFirst()
  }

  function push({ seq, app, text }: Frame): void {
    const length = Buffer.byteLength(text)
    batches.clear()
    makeRoom(length)
    block.write(text, tip)
    const at = slot(next)
    seqs[at] = seq
    starts[at] = tip
    ends[at] = tip + length
    apps[at] = app
    next += 1
    bytes += length
    tip += length
  }

  function reset(newFloor: number): void {
    first = next
    tip = 0
    bytes = 0
    floor = newFloor
    batches.clear()
    large.clear()
  }

  function head(): number {
    return next > first ? seqOf(next - 1) : floor
  }

  /** The first frame after `seq`, by halving. */
  function countAfter(seq: number): number {
    let low = first
    let high = next
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      if (seqOf(middle) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  const isLarge = (count: number) => endOf(count) - startOf(count) > limits.batchBytes

  /** A large frame is written in several steps, between which events may come. */
  function keep(count: number): Uint8Array {
    const known = large.get(count)
    if (known) return known
    const copy = new Uint8Array(block.subarray(startOf(count), endOf(count)))
    large.set(count, copy)
    return copy
  }

  /** Frames that lie one behind the other. */
  function gather(seq: number): Batch {
    const begin = countAfter(seq)
    if (isLarge(begin)) return { bytes: keep(begin), seq: seqOf(begin) }
    let count = begin
    while (
      count + 1 < next &&
      startOf(count + 1) === endOf(count) &&
      endOf(count + 1) - startOf(begin) <= limits.batchBytes
    )
      count += 1
    return { bytes: block.subarray(startOf(begin), endOf(count)), seq: seqOf(count) }
  }

  function pick(seq: number, filter: Filter): Batch {
    const taken: Uint8Array[] = []
    let size = 0
    let last = seq
    for (let count = countAfter(seq); count < next; count += 1) {
      const wanted = filter.lets(apps[slot(count)])
      const length = endOf(count) - startOf(count)
      if (wanted && size > 0 && size + length > limits.batchBytes) break
      last = seqOf(count)
      if (!wanted) continue
      if (isLarge(count)) return { bytes: keep(count), seq: last }
      taken.push(block.subarray(startOf(count), endOf(count)))
      size += length
    }
    return { bytes: Buffer.concat(taken), seq: last }
  }

  /** What follows `seq` and `filter` lets through, as much as fits into one write; undefined when nothing follows.
   *  Where all that follows is for others there are no bytes, but a place further on. */
  function after(seq: number, filter?: Filter): Batch | undefined {
    if (seq >= head()) return undefined
    const key = filter ? `${seq} ${filter.key}` : seq
    const known = batches.get(key)
    if (known) return known
    const batch = filter ? pick(seq, filter) : gather(seq)
    batches.set(key, batch)
    return batch
  }

  return {
    push,
    reset,
    after,
    /** Whether everything after `seq` is here. */
    covers: (seq: number) => seq >= floor,
    get floor() {
      return floor
    },
    get head() {
      return head()
    },
    get size() {
      return next - first
    },
    get bytes() {
      return bytes
    },
  }
}
