/**
 * One timer for all clocks with the same interval. The timer stops while no clock is displayed.
 *
 * A tick updates a part of the clocks per animation frame, because an update of hundreds of clocks would
 * block the page.
 */

/** Upper limit of clocks that are updated per animation frame. */
export const PART = 50

/** @param {number} everyMs @param {(run: () => void) => void} [nextFrame] */
export function createTicker(everyMs, nextFrame = (run) => requestAnimationFrame(run)) {
  /** @type {Set<(now: number) => void>} */
  const listeners = new Set()
  /** @type {((now: number) => void)[]} listeners that the present tick has not called yet */
  let waiting = []
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer

  function tick() {
    // Skips this tick if the former tick has not called all listeners yet.
    if (waiting.length > 0) return
    waiting = [...listeners]
    runPart()
  }

  function runPart() {
    const now = Date.now()
    for (const listener of waiting.splice(0, PART)) if (listeners.has(listener)) listener(now)
    if (waiting.length > 0) nextFrame(runPart)
  }

  /**
   * Adds a listener and returns a function that removes the listener.
   * @param {(now: number) => void} listener
   */
  return function subscribe(listener) {
    listeners.add(listener)
    timer ??= setInterval(tick, everyMs)
    return () => {
      listeners.delete(listener)
      if (listeners.size > 0) return
      clearInterval(timer)
      timer = undefined
    }
  }
}
