import { useLayoutEffect } from 'preact/hooks'

/** @import { RefObject } from 'preact' */

/**
 * A button that was pressed often goes away by that. Whoever had the focus on it would be at the top of the page again:
 * they are given the first thing left at that place.
 * @param {RefObject<HTMLElement | null>} place @param {string} first selector
 */
export function useFocusKept(place, first) {
  const held = typeof document !== 'undefined' && (place.current?.contains(document.activeElement) ?? false)
  useLayoutEffect(() => {
    if (!held || document.activeElement !== document.body) return
    const next = /** @type {HTMLElement | null | undefined} */ (place.current?.querySelector(first))
    next?.focus({ preventScroll: true })
  })
}
