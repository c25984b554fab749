/**
 * Index of the encoded events (frames) in the ring buffer. The index consists of arrays of fixed length, so a
 * new frame allocates no memory.
 */

export type FrameIndex = ReturnType<typeof createFrameIndex>

/**
 * Creates an empty index.
 * @param limit upper limit of the number of frames. The caller must remove the oldest frame from a full index
 * before adding a frame.
 */
export function createFrameIndex(limit: number) {
  /**
   * Number of the oldest frame, and number of the next frame to be added. Both numbers only grow. A number
   * modulo `limit` is the position in the arrays.
   */
  let oldest = 0
  let next = 0
  const seqs = new Float64Array(limit)
  const starts = new Uint32Array(limit)
  const ends = new Uint32Array(limit)
  const apps = new Array<string | undefined>(limit).fill(undefined)

  const seqOf = (index: number) => seqs[index % limit] as number
  const startOf = (index: number) => starts[index % limit] as number
  const endOf = (index: number) => ends[index % limit] as number

  function add(seq: number, start: number, end: number, app: string | undefined): void {
    const slot = next % limit
    seqs[slot] = seq
    starts[slot] = start
    ends[slot] = end
    apps[slot] = app
    next += 1
  }

  /** Returns the number of the first frame whose event number is greater than `seq`, by binary search. */
  function indexAfter(seq: number): number {
    let low = oldest
    let high = next
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      if (seqOf(middle) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  return {
    add,
    indexAfter,
    seqOf,
    startOf,
    endOf,
    lengthOf: (index: number) => endOf(index) - startOf(index),
    appOf: (index: number) => apps[index % limit],
    dropOldest(): void {
      oldest += 1
    },
    clear(): void {
      oldest = next
    },
    get oldest() {
      return oldest
    },
    get next() {
      return next
    },
    get size() {
      return next - oldest
    },
  }
}
