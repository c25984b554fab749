/**
 * One timer for all clocks of the page with the same interval.
 *
 * A tick updates a limited number of clocks per animation frame, because an update of hundreds of clocks at
 * once would block the page.
 */

export const PART = 50

/** @param {number} everyMs @param {(run: () => void) => void} [nextFrame] */
export function createTicker(everyMs, nextFrame = (run) => requestAnimationFrame(run)) {
  /** @type {Set<(now: number) => void>} */
  const listeners = new Set()
  /** @type {((now: number) => void)[]} listeners that still have to be called in the present tick */
  let waiting = []
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer

  function tick() {
    // Skips this tick, because the listeners of the former tick are still being called.
    if (waiting.length > 0) return
    waiting = [...listeners]
    runPart()
  }

  function runPart() {
    const now = Date.now()
    for (const listener of waiting.splice(0, PART)) if (listeners.has(listener)) listener(now)
    if (waiting.length > 0) nextFrame(runPart)
  }

  /** Returns a function that removes the listener. @param {(now: number) => void} listener */
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
