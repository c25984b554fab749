/** Requests again and again why the agent is not ready, while the page is visible. */
import { getReadiness } from './api.js'

/** @import { ReadinessCause } from '../types.js' */

/** Interval in ms between two requests. The agent checks its database every 5 s. */
const INTERVAL_MS = 10_000

/**
 * @param {{ visible: () => boolean, onCauses: (causes: ReadinessCause[]) => void }} options
 */
export function createReadinessPoll({ visible, onCauses }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let requesting = false

  async function poll() {
    clearTimeout(timer)
    if (requesting || !visible()) return
    requesting = true
    // After a failure the causes stay as they are: the badge of the connection shows that the agent is away.
    const answer = await getReadiness().catch(() => null)
    requesting = false
    if (answer) onCauses(answer.causes)
    timer = setTimeout(poll, INTERVAL_MS)
  }

  /** Requests the causes now, if the page is visible. To be called when the page becomes visible. */
  return { poll }
}
