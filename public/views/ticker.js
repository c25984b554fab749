/**
 * One timer for all clocks with the same interval; it stops while no clock is shown.
 *
 * With hundreds of clocks a tick updates them in parts, one part in a frame. The clocks then differ by a few
 * frames, but no tick blocks the page.
 */

/** Number of clocks that are updated in one frame. */
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
    // Skips this tick, because the former one has not finished and the machine is busy.
    if (waiting.length > 0) return
    waiting = [...listeners]
    runPart()
  }

  function runPart() {
    const now = Date.now()
    for (const listener of waiting.splice(0, PART)) if (listeners.has(listener)) listener(now)
    if (waiting.length > 0) nextFrame(runPart)
  }

  /** Adds a listener and returns the function that removes it. @param {(now: number) => void} listener */
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
