/**
 * The newest events as bytes, bounded by count and by size. Everything after `floor` is here, so a client whose last
 * event is `floor` or later is served without asking the database.
 */
import type { Filter } from './filter.ts'
import type { Frame } from './frames.ts'

/** Bytes for one write, and the number of the last event in them. */
export interface Batch {
  bytes: Uint8Array
  seq: number
}

export interface RingLimits {
  frames: number
  bytes: number
  /** Bytes of one batch; a single larger event still makes a batch of its own. */
  batchBytes: number
}

export type Ring = ReturnType<typeof createRing>

export function createRing(limits: RingLimits) {
  let frames: Frame[] = []
  /** Frames before this index are dropped; they are cut off in bulk, as shifting an array of thousands is slow. */
  let first = 0
  let bytes = 0
  let floor = 0
  /** Clients mostly stand at the same place, so each batch is put together once and thrown away with the next event. */
  const batches = new Map<number | string, Batch>()

  function dropFirst(): void {
    const frame = frames[first] as Frame
    floor = frame.seq
    bytes -= frame.bytes.length
    first += 1
    if (first < limits.frames) return
    frames = frames.slice(first)
    first = 0
  }

  function push(frame: Frame): void {
    frames.push(frame)
    bytes += frame.bytes.length
    batches.clear()
    while (frames.length - first > limits.frames || (bytes > limits.bytes && frames.length - first > 1))
      dropFirst()
  }

  function reset(newFloor: number): void {
    frames = []
    first = 0
    bytes = 0
    floor = newFloor
    batches.clear()
  }

  function head(): number {
    return frames.length > first ? (frames[frames.length - 1] as Frame).seq : floor
  }

  /** Index of the first frame after `seq`, by halving. */
  function indexAfter(seq: number): number {
    let low = first
    let high = frames.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((frames[middle] as Frame).seq > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  function gather(seq: number, filter: Filter | undefined): Batch {
    const taken: Uint8Array[] = []
    let size = 0
    let last = seq
    for (let index = indexAfter(seq); index < frames.length; index += 1) {
      const frame = frames[index] as Frame
      const wanted = !filter || filter.lets(frame.app)
      if (wanted && size > 0 && size + frame.bytes.length > limits.batchBytes) break
      last = frame.seq
      if (!wanted) continue
      taken.push(frame.bytes)
      size += frame.bytes.length
    }
    return { bytes: taken.length === 1 ? (taken[0] as Uint8Array) : Buffer.concat(taken), seq: last }
  }

  /** What follows `seq` and `filter` lets through, as much as fits into one write; undefined when nothing follows.
   *  Where all that follows is for others there are no bytes, but a place further on. */
  function after(seq: number, filter?: Filter): Batch | undefined {
    if (seq >= head()) return undefined
    const key = filter ? `${seq} ${filter.key}` : seq
    const known = batches.get(key)
    if (known) return known
    const batch = gather(seq, filter)
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
      return frames.length - first
    },
    get bytes() {
      return bytes
    },
  }
}
