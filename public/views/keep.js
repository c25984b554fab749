import { useRef } from 'preact/hooks'

/** @import { VNode } from 'preact' */

/**
 * Drawings of many things of which few change: the one of before is given again while nothing it was made of has
 * changed, and costs next to nothing. `keep(key, facts, make)` is called for all of them in every drawing.
 * @returns {<T extends object>(key: string, facts: T, make: (facts: T) => VNode) => VNode}
 */
export function useKept() {
  const before = useRef(/** @type {Map<string, { facts: any, drawing: VNode }>} */ (new Map()))
  const last = before.current
  /** @type {typeof last} */
  const now = new Map()
  before.current = now
  return (key, facts, make) => {
    const known = last.get(key)
    const kept = known && isSame(known.facts, facts) ? known : { facts, drawing: make(facts) }
    now.set(key, kept)
    return kept.drawing
  }
}

/** @param {Record<string, unknown>} a @param {any} b */
function isSame(a, b) {
  for (const key in b) if (a[key] !== b[key]) return false
  return true
}
