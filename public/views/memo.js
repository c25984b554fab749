/** Memoized rendering of long lists: cards and tiles whose facts have not changed are not rendered again. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'

/** @import { VNode } from 'preact' */

/**
 * Number of changed elements that one render renders anew: a card takes 0.5 ms, and a frame of 16 ms may
 * contain two renders.
 */
export const PART = 5

/**
 * @template {object} T
 * @typedef {(before: T, facts: T) => boolean} IsUrgent
 */

/**
 * Keeps the rendered elements of a list.
 *
 * An element is used again while its facts have not changed. At most `part` changed elements are rendered
 * anew in one render; the others keep their former content until the next. New and urgent ones are always
 * rendered.
 * @template {object} T
 * @param {IsUrgent<T>} isUrgent
 * @returns {(part: number) => { memo: (key: string, facts: T, render: (facts: T) => VNode) => VNode, isLate:
 *   () => boolean }} a function to call once in each render. `memo` returns an element. After all elements,
 *   `isLate` returns true if some of them still have their former content.
 */
export function createMemo(isUrgent) {
  /** @type {Map<string, { facts: T, element: VNode, round: number }>} */
  const cache = new Map()
  let round = 0
  return (part) => {
    dropUnused(cache, round)
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
      memo(key, facts, render) {
        const known = cache.get(key)
        if (known && (isSame(known.facts, facts) || mayWait(known.facts, facts))) {
          known.round = round
          return known.element
        }
        const element = render(facts)
        cache.set(key, { facts, element, round })
        return element
      },
      isLate: () => isLate,
    }
  }
}

/** Drops the elements that the last render did not use. @param {Map<string, { round: number }>} cache
 *  @param {number} round */
function dropUnused(cache, round) {
  for (const [key, entry] of cache) if (entry.round < round) cache.delete(key)
}

/** Returns the `memo` of a component, and renders the component again in each frame until no element is late.
 *  A hidden page renders all elements at once.
 *  @template {object} T @param {IsUrgent<T>} isUrgent */
export function useMemoized(isUrgent) {
  const begin = useRef(/** @type {ReturnType<typeof createMemo<T>> | null} */ (null))
  begin.current ??= createMemo(isUrgent)
  const [, renderAgain] = useState(0)
  const isVisible = typeof document !== 'undefined' && !document.hidden
  const { memo, isLate } = begin.current(isVisible ? PART : Number.POSITIVE_INFINITY)
  useLayoutEffect(() => {
    if (!isLate()) return
    const frame = requestAnimationFrame(() => renderAgain((times) => times + 1))
    return () => cancelAnimationFrame(frame)
  })
  return memo
}

/** Compares two objects by the values of their properties. @param {Record<string, any>} a
 *  @param {Record<string, any>} b */
function isSame(a, b) {
  for (const key in b) if (a[key] !== b[key]) return false
  return true
}
