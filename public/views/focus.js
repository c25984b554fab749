import { useLayoutEffect } from 'preact/hooks'

/** @import { RefObject } from 'preact' */

/**
 * Keeps the keyboard focus inside an element. A clicked button is often removed by its own click, and the
 * browser would then move the focus to the top of the page. This hook moves the focus to the first match of a
 * selector instead.
 * @param {RefObject<HTMLElement | null>} element
 * @param {string} selector
 */
export function useFocusKept(element, selector) {
  const hadFocus =
    typeof document !== 'undefined' && (element.current?.contains(document.activeElement) ?? false)
  useLayoutEffect(() => {
    if (!hadFocus || document.activeElement !== document.body) return
    const next = /** @type {HTMLElement | null | undefined} */ (element.current?.querySelector(selector))
    next?.focus({ preventScroll: true })
  })
}
