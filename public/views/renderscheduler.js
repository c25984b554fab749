/**
 * When to draw. After every message while that is cheap. With hundreds of apps a drawing takes longer, and the screen
 * shows no more than one in a frame; but a status is never replaced before it was drawn, however short it was.
 */

/** A drawing that took longer than this is not done more than once in a frame. */
const CHEAP_MS = 4

/** @param {() => void} draw @param {() => number} [now] */
export function createRenderScheduler(draw, now = () => performance.now()) {
  let due = false
  let cost = 0
  /** @type {Set<string>} apps whose present status nobody has seen yet */
  const unseen = new Set()

  function run() {
    if (!due) return
    due = false
    unseen.clear()
    const begin = now()
    draw()
    cost = now() - begin
  }

  return {
    /** The state has changed; `app` says whose status, if one's has. @param {string} [app] */
    soon(app) {
      if (app) unseen.add(app)
      if (due) return
      due = true
      // A hidden page gets no frames.
      if (cost > CHEAP_MS && !document.hidden) requestAnimationFrame(run)
      else queueMicrotask(run)
    },
    /** The status of `app` is about to be replaced: it is drawn now if it was not yet. @param {string} app */
    before(app) {
      if (unseen.has(app)) run()
    },
  }
}
