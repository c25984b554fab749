import { useLayoutEffect } from 'preact/hooks'

/** @import { RefObject } from 'preact' */

/**
 * Moves the keyboard focus to the first match of `selector` in the element if a render removed the focused
 * button. The browser would move the focus to the top of the page.
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
