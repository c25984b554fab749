/**
 * Decides when the page is rendered: after every message, or at most once per animation frame if renders are
 * slow. The page displays each status of an app, even if the next event follows at once.
 */

/** Duration of a render in ms above which later renders wait for the next animation frame. */
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
      // A hidden page receives no animation frames, so a microtask renders the page.
      if (cost > CHEAP_MS && !document.hidden) requestAnimationFrame(run)
      else queueMicrotask(run)
    },
    /**
     * Renders the page if the present status of an app is not rendered yet. Must be called before an event
     * replaces the status.
     * @param {string} app
     */
    beforeChange(app) {
      if (unrendered.has(app)) run()
    },
  }
}
