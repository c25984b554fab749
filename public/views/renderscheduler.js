/**
 * Decides when the page is rendered: after every message, or at most once per animation frame if renders are
 * slow. Each status of an app is rendered, even if the next status follows at once.
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
     * Must be called after a change of the state.
     * @param {string} [app] name of the app whose status changed
     */
    schedule(app) {
      if (app) unrendered.add(app)
      if (due) return
      due = true
      // A hidden page has no animation frames.
      if (cost > CHEAP_MS && !document.hidden) requestAnimationFrame(run)
      else queueMicrotask(run)
    },
    /**
     * Must be called before an event replaces the status of an app. Renders the former status, unless it is
     * already rendered.
     * @param {string} app
     */
    beforeChange(app) {
      if (unrendered.has(app)) run()
    },
  }
}
