/**
 * Decides when the page is rendered: after every message while a render is cheap, else once in a frame. With
 * hundreds of apps a render takes longer than CHEAP_MS, and the screen shows at most one render in a frame. A
 * status is never replaced before it was rendered, however short it lasted.
 */

/** Duration of a render in milliseconds above which renders wait for the next frame. */
const CHEAP_MS = 4

/** @param {() => void} render @param {() => number} [now] */
export function createRenderScheduler(render, now = () => performance.now()) {
  let due = false
  let cost = 0
  /** @type {Set<string>} apps whose present status is not rendered yet */
  const unrendered = new Set()

  function run() {
    if (!due) return
    due = false
    unrendered.clear()
    const begin = now()
    render()
    cost = now() - begin
  }

  return {
    /**
     * Plans a render after a change of the state.
     * @param {string} [app] name of the app whose status changed
     */
    schedule(app) {
      if (app) unrendered.add(app)
      if (due) return
      due = true
      // A hidden page receives no animation frames.
      if (cost > CHEAP_MS && !document.hidden) requestAnimationFrame(run)
      else queueMicrotask(run)
    },
    /**
     * Renders the present status of an app, if necessary, before the status is replaced.
     * @param {string} app
     */
    beforeChange(app) {
      if (unrendered.has(app)) run()
    },
  }
}
