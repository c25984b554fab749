/**
 * Schedules requests of GET /api/status. The response contains values that events lack: queue positions and
 * controls (which buttons of an app are enabled, and why the others are not).
 */

/** Delay in ms between an event and the request, so that one request serves a group of events. */
const DELAY_MS = 100
const RETRY_MS = 3000
/** Pause after a request as a multiple of its duration, so that a slow agent receives fewer requests. */
const REST_FACTOR = 8
/**
 * Upper limit of the pause in ms. Without the limit, a request during which the machine sleeps would cause a
 * pause of hours.
 */
const MAX_REST_MS = 5000

/**
 * Returns a function that schedules a request of GET /api/status. Calls during a request cause one further
 * request afterwards.
 * @param {() => Promise<unknown>} fetchStatus rejects if the request failed
 * @returns {(delay?: number) => void}
 */
export function createStatusRefresh(fetchStatus) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let due = 0
  let running = false
  let again = false
  let restUntil = 0

  /**
   * Schedules a request in `delay` ms. A request that is scheduled for an earlier time is not deferred,
   * because frequent events would defer the request for ever.
   */
  function refresh(delay = DELAY_MS) {
    if (running) {
      again = true
      return
    }
    const at = Math.max(Date.now() + delay, restUntil)
    if (timer !== undefined && at >= due) return
    clearTimeout(timer)
    due = at
    timer = setTimeout(run, at - Date.now())
  }

  async function run() {
    timer = undefined
    running = true
    again = false
    const begin = Date.now()
    const failed = await fetchStatus().then(
      () => false,
      () => true,
    )
    running = false
    const end = Date.now()
    restUntil = end + Math.min(MAX_REST_MS, Math.max(0, end - begin - DELAY_MS) * REST_FACTOR)
    if (failed) refresh(RETRY_MS)
    else if (again) refresh()
  }

  return refresh
}
