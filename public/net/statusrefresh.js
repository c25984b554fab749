/** GET /api/status while the stream goes on: controls, causes and places in the queue, which events do not carry. */

/** A status change comes with several at its heels; one result is enough for all of them. */
const DELAY_MS = 100
/** After a failed one. The stream shows the status meanwhile; only the controls wait. */
const RETRY_MS = 3000
/** With hundreds of apps a result takes its time; asking takes a small part of what there is. */
const REST_FACTOR = 8
/** A request can also have slept with the machine; what may be pressed is never older than this. */
const LONGEST_REST_MS = 5000

/**
 * One request at a time, and once more if asked meanwhile.
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

  /** The earliest request wins: a storm of events must not push it away. */
  function ask(delay = DELAY_MS) {
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
    restUntil = end + Math.min(LONGEST_REST_MS, Math.max(0, end - begin - DELAY_MS) * REST_FACTOR)
    if (failed) ask(RETRY_MS)
    else if (again) ask()
  }

  return ask
}
