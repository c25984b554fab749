/** Cache of the rendered elements of a long list. An element is rendered again only after a change. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'

/** @import { VNode } from 'preact' */

/**
 * Upper limit of changed list elements that one render updates (without urgent changes). An app card takes
 * 0.5 ms, and an animation frame of 16 ms may contain two renders.
 */
export const PART = 5

/**
 * @template {object} T
 * @typedef {(before: T, facts: T) => boolean} IsUrgent
 */

/**
 * Returns a function that begins a render of a list. An element is reused while its `facts` are unchanged.
 *
 * New elements and urgent changes are always rendered. Of all other changes, a render includes at most
 * `part`. The remaining elements keep their former content until the next render.
 * @template {object} T
 * @param {IsUrgent<T>} isUrgent
 * @returns {(part: number) => { memo: (key: string, facts: T, render: (facts: T) => VNode) => VNode, isLate:
 *   () => boolean }}
 *   function that the component calls once in each render. `memo` returns an element. `isLate` returns true
 *   if an element still has its former content.
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

/** @param {Map<string, { round: number }>} cache @param {number} round */
function dropUnused(cache, round) {
  for (const [key, entry] of cache) if (entry.round < round) cache.delete(key)
}

/**
 * Returns the `memo` function of a component. The component is rendered again in the next animation frame
 * until no element has its former content any more.
 * @template {object} T
 * @param {IsUrgent<T>} isUrgent
 */
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

/** @param {Record<string, any>} a @param {Record<string, any>} b */
function isSame(a, b) {
  for (const key in b) if (a[key] !== b[key]) return false
  return true
}
