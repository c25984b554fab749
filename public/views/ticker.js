/**
 * One timer for all that tick alike, none when nobody looks. With hundreds of clocks a tick goes through them in parts,
 * one in a frame: they may be a few frames apart, but none of them holds up the page.
 */

/** Clocks that are told the time in one frame. */
export const PART = 50

/** @param {number} everyMs @param {(run: () => void) => void} [nextFrame] */
export function createTicker(everyMs, nextFrame = (run) => requestAnimationFrame(run)) {
  /** @type {Set<(now: number) => void>} */
  const watchers = new Set()
  /** @type {((now: number) => void)[]} those whose turn it still is in this tick */
  let waiting = []
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer

  function tick() {
    // The tick before is not through: this machine has enough to do.
    if (waiting.length > 0) return
    waiting = [...watchers]
    part()
  }

  function part() {
    const now = Date.now()
    for (const watcher of waiting.splice(0, PART)) if (watchers.has(watcher)) watcher(now)
    if (waiting.length > 0) nextFrame(part)
  }

  /** @param {(now: number) => void} watcher */
  return function watch(watcher) {
    watchers.add(watcher)
    timer ??= setInterval(tick, everyMs)
    return () => {
      watchers.delete(watcher)
      if (watchers.size > 0) return
      clearInterval(timer)
      timer = undefined
    }
  }
}
