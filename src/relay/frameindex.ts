/**
 * Positions of the frames in the ring's block, oldest first, in typed arrays that are used round and round.
 */

export type FrameIndex = ReturnType<typeof createFrameIndex>

/** @param limit upper limit of the number of frames; the caller drops the oldest before adding one more. */
export function createFrameIndex(limit: number) {
  /**
   * Indices of the oldest frame and of the next one. They only grow; arrays are used at the index modulo
   * `limit`.
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

  /** Returns the index of the first frame after `seq`, by binary search. */
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
    /** Forgets the oldest frame. */
    dropOldest(): void {
      oldest += 1
    },
    clear(): void {
      oldest = next
    },
    get oldest() {
      return oldest
    },
    /** Index of the next frame. */
    get next() {
      return next
    },
    get size() {
      return next - oldest
    },
  }
}
