/**
 * Requests GET /api/status beside the stream, for what events do not contain: controls, causes, queue
 * positions.
 */

/**
 * Delay in milliseconds after an event: status changes come in groups, and one result serves the whole group.
 */
const DELAY_MS = 100
/**
 * Delay in milliseconds after a failed request. The stream shows each status meanwhile; only the controls
 * wait.
 */
const RETRY_MS = 3000
/** Rest after a request, as a multiple of its duration: with hundreds of apps a result is expensive. */
const REST_FACTOR = 8
/**
 * Upper limit of the rest in milliseconds, so that controls are never older. The limit is needed because a
 * request during the sleep of the machine seems to last for hours.
 */
const MAX_REST_MS = 5000

/**
 * Runs one request at a time, and one more if a refresh was requested meanwhile.
 * @param {() => Promise<unknown>} fetchStatus rejects when there was no result
 * @returns {(delay?: number) => void}
 */
export function createStatusRefresh(fetchStatus) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let due = 0
  let running = false
  let again = false
  let restUntil = 0

  /** Plans a request. The earliest plan wins, because frequent events would otherwise defer it for ever. */
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
