/**
 * Ring buffer of the newest encoded events, in one permanent block of memory. New events overwrite the oldest
 * events, so a long stream causes no garbage collection. All events after `evictedTo` are in the buffer.
 */
import type { Filter } from './filter.ts'
import type { Frame } from './frame.ts'
import { createFrameIndex } from './frameindex.ts'

/** Bytes for one write to a client, and the seq of the last event in these bytes. */
export interface Batch {
  /**
   * Encoded events. The bytes are valid until the next event is added, because that event may overwrite the
   * bytes.
   */
  bytes: Uint8Array
  seq: number
}

export interface RingLimits {
  frames: number
  bytes: number
  /** Upper limit of one batch in bytes. A larger event is sent as a batch of one event, from a copy. */
  batchBytes: number
}

export type Ring = ReturnType<typeof createRing>

export function createRing(limits: RingLimits) {
  let block = Buffer.allocUnsafeSlow(limits.bytes)
  /** Offset in the block at which the next frame is written. */
  let writeOffset = 0
  const frames = createFrameIndex(limits.frames)
  const { seqOf, startOf, endOf, lengthOf } = frames
  let bytes = 0
  let evictedTo = 0
  /**
   * Batches by the seq after which the batch begins. Most clients have the same seq, so a batch is created
   * once and shared until the next event.
   */
  const batches = new Map<number | string, Batch>()
  /**
   * Copies of events that are larger than a batch. Clients that have written a part of an event share the
   * copy.
   */
  const large = new Map<number, Uint8Array>()

  function evictOldest(): void {
    const { oldest } = frames
    evictedTo = seqOf(oldest)
    bytes -= lengthOf(oldest)
    large.delete(oldest)
    frames.dropOldest()
  }

  /**
   * Evicts the frames that the next frame overwrites. Frames after the write offset are older than frames
   * before the write offset.
   */
  function makeSpace(length: number): void {
    if (writeOffset + length > block.length) {
      while (frames.size > 0 && startOf(frames.oldest) >= writeOffset) evictOldest()
      writeOffset = 0
    }
    // A frame larger than the block gets a new block of the frame's size, as the only frame in that block.
    if (length > block.length) block = Buffer.allocUnsafeSlow(length)
    const isOverwritten = (start: number) => start >= writeOffset && start < writeOffset + length
    while (frames.size > 0 && isOverwritten(startOf(frames.oldest))) evictOldest()
    if (frames.size === limits.frames) evictOldest()
  }

  function push({ seq, app, text }: Frame): void {
    const length = Buffer.byteLength(text)
    batches.clear()
    makeSpace(length)
    block.write(text, writeOffset)
    frames.add(seq, writeOffset, writeOffset + length, app)
    bytes += length
    writeOffset += length
  }

  /** Empties the ring buffer. The next event to be added is the event after `seq`. */
  function reset(seq: number): void {
    frames.clear()
    writeOffset = 0
    bytes = 0
    evictedTo = seq
    batches.clear()
    large.clear()
  }

  function head(): number {
    return frames.size > 0 ? seqOf(frames.next - 1) : evictedTo
  }

  const isLarge = (index: number) => lengthOf(index) > limits.batchBytes

  /**
   * Returns a copy of a large frame. The frame needs several writes, and new events can overwrite the block
   * between two writes.
   */
  function copyLarge(index: number): Uint8Array {
    const cached = large.get(index)
    if (cached) return cached
    const copy = new Uint8Array(block.subarray(startOf(index), endOf(index)))
    large.set(index, copy)
    return copy
  }

  /** Returns the frames after `seq` that are adjacent in the block, as a batch without a copy. */
  function adjacentBatch(seq: number): Batch {
    const begin = frames.indexAfter(seq)
    if (isLarge(begin)) return { bytes: copyLarge(begin), seq: seqOf(begin) }
    let index = begin
    while (
      index + 1 < frames.next &&
      startOf(index + 1) === endOf(index) &&
      endOf(index + 1) - startOf(begin) <= limits.batchBytes
    )
      index += 1
    return { bytes: block.subarray(startOf(begin), endOf(index)), seq: seqOf(index) }
  }

  /** Returns the frames after `seq` that pass the filter, copied into a batch. */
  function filteredBatch(seq: number, filter: Filter): Batch {
    const pieces: Uint8Array[] = []
    let size = 0
    let last = seq
    for (let index = frames.indexAfter(seq); index < frames.next; index += 1) {
      const included = filter.includes(frames.appOf(index))
      const length = lengthOf(index)
      if (included && size > 0 && size + length > limits.batchBytes) break
      last = seqOf(index)
      if (!included) continue
      if (isLarge(index)) return { bytes: copyLarge(index), seq: last }
      pieces.push(block.subarray(startOf(index), endOf(index)))
      size += length
    }
    return { bytes: Buffer.concat(pieces), seq: last }
  }

  /**
   * Returns the events after `seq` that pass the filter and fit into one write. Returns undefined if no event
   * is newer than `seq`. If the filter excludes all newer events, the batch has no bytes but a newer seq.
   */
  function after(seq: number, filter?: Filter): Batch | undefined {
    if (seq >= head()) return undefined
    const key = filter ? `${seq} ${filter.key}` : seq
    const cached = batches.get(key)
    if (cached) return cached
    const batch = filter ? filteredBatch(seq, filter) : adjacentBatch(seq)
    batches.set(key, batch)
    return batch
  }

  return {
    push,
    reset,
    after,
    /** Returns true if the ring buffer contains all events after `seq`. */
    covers: (seq: number) => seq >= evictedTo,
    /** Seq of the newest event that was evicted from the ring buffer. */
    get evictedTo() {
      return evictedTo
    },
    /** Seq of the newest event in the ring buffer. */
    get head() {
      return head()
    },
    /** Number of events in the ring buffer. */
    get size() {
      return frames.size
    },
    get bytes() {
      return bytes
    },
  }
}
