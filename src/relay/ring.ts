/**
 * Ring buffer of the newest encoded events. New events overwrite the oldest events in one permanent block of
 * memory, so that no memory is allocated for each event.
 */
import type { Filter } from './filter.ts'
import type { Frame } from './frame.ts'
import { createFrameIndex } from './frameindex.ts'

/** Bytes for one write to a client, and the number (seq) of the last event in these bytes. */
export interface Batch {
  /**
   * Encoded events. The bytes are valid only until the next event is added, which may overwrite these bytes.
   */
  bytes: Uint8Array
  seq: number
}

export interface RingLimits {
  frames: number
  bytes: number
  /** Upper limit of the size of a batch in bytes. A larger event is a batch of its own. */
  batchBytes: number
}

export type Ring = ReturnType<typeof createRing>

export function createRing(limits: RingLimits) {
  let block = Buffer.allocUnsafeSlow(limits.bytes)
  let writeOffset = 0
  const frames = createFrameIndex(limits.frames)
  const { seqOf, startOf, endOf, lengthOf } = frames
  let bytes = 0
  let evictedTo = 0
  /**
   * Cached batches by the event number (seq) after which the batch begins, and by filter. Most clients have
   * received the same events and share a batch.
   */
  const batches = new Map<number | string, Batch>()
  const large = new Map<number, Uint8Array>()

  function evictOldest(): void {
    const { oldest } = frames
    evictedTo = seqOf(oldest)
    bytes -= lengthOf(oldest)
    large.delete(oldest)
    frames.dropOldest()
  }

  /**
   * Evicts the events that the next event will overwrite. Events after the write offset are older than events
   * before the write offset.
   */
  function makeSpace(length: number): void {
    if (writeOffset + length > block.length) {
      while (frames.size > 0 && startOf(frames.oldest) >= writeOffset) evictOldest()
      writeOffset = 0
    }
    // The memory block grows if an event is larger than the whole block.
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

  /** Empties the ring buffer. The next event that is added must be the first event after `seq`. */
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
   * Returns a copy of an event that is larger than a batch. The event needs several writes, and new events
   * could overwrite the original in the meantime.
   */
  function copyLarge(index: number): Uint8Array {
    const cached = large.get(index)
    if (cached) return cached
    const copy = new Uint8Array(block.subarray(startOf(index), endOf(index)))
    large.set(index, copy)
    return copy
  }

  /**
   * Returns a batch of the events after `seq` that are adjacent in the memory block, so that no bytes are
   * copied.
   */
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
   * Returns a batch of the events after `seq` that pass the filter, or undefined if no event is newer. If the
   * filter excludes all newer events, the batch is empty and has the newest seq.
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
    /** Number (seq) of the newest event that the ring buffer no longer contains. */
    get evictedTo() {
      return evictedTo
    },
    get head() {
      return head()
    },
    get size() {
      return frames.size
    },
    get bytes() {
      return bytes
    },
  }
}
