import { useLayoutEffect, useRef, useState } from 'preact/hooks'

/** @import { VNode } from 'preact' */

/** Made anew in one drawing. A card takes half a millisecond; a frame has sixteen, and sometimes two drawings. */
export const PART = 5

/**
 * @template {object} T
 * @typedef {(before: T, facts: T) => boolean} IsUrgent
 */

/**
 * Drawings of many things of which few change: the one of before is given again while nothing it was made of has
 * changed, and costs next to nothing. What did change is made anew, at most `part` of them in one drawing: the others
 * keep that of before until the next. What is urgent, or new, is made whenever it has to be.
 * @template {object} T
 * @param {IsUrgent<T>} isUrgent
 * @returns {(part: number) => { keep: (key: string, facts: T, make: (facts: T) => VNode) => VNode, isLate: () => boolean }}
 *   called for each drawing; `keep` is for all of them, and then `isLate` says whether another one is due.
 */
export function createMemo(isUrgent) {
  /** @type {Map<string, { facts: T, drawing: VNode, round: number }>} */
  const kept = new Map()
  let round = 0
  return (part) => {
    forgetBefore(kept, round)
    round += 1
    let left = part
    let isLate = false
    /** @param {T} before @param {T} facts */
    function mayWait(before, facts) {
      if (isUrgent(before, facts)) return false
      left -= 1
      if (left < 0) isLate = true
      return left < 0
    }
    return {
      keep(key, facts, make) {
        const known = kept.get(key)
        if (known && (isSame(known.facts, facts) || mayWait(known.facts, facts))) {
          known.round = round
          return known.drawing
        }
        const drawing = make(facts)
        kept.set(key, { facts, drawing, round })
        return drawing
      },
      isLate: () => isLate,
    }
  }
}

/** What was not in the last drawing is gone. @param {Map<string, { round: number }>} kept @param {number} round */
function forgetBefore(kept, round) {
  for (const [key, one] of kept) if (one.round < round) kept.delete(key)
}

/** For a component: in parts, one in a frame, as long as somebody looks.
 *  @template {object} T @param {IsUrgent<T>} isUrgent */
export function useMemoized(isUrgent) {
  const begin = useRef(/** @type {ReturnType<typeof createMemo<T>> | null} */ (null))
  begin.current ??= createMemo(isUrgent)
  const [, drawAgain] = useState(0)
  const isSeen = typeof document !== 'undefined' && !document.hidden
  const { keep, isLate } = begin.current(isSeen ? PART : Number.POSITIVE_INFINITY)
  useLayoutEffect(() => {
    if (!isLate()) return
    const frame = requestAnimationFrame(() => drawAgain((times) => times + 1))
    return () => cancelAnimationFrame(frame)
  })
  return keep
}

/** @param {Record<string, any>} a @param {Record<string, any>} b */
function isSame(a, b) {
  for (const key in b) if (a[key] !== b[key]) return false
  return true
}
