/** The same events by asking: for when no stream gets through, or no connection may be held open. */
import { getEvents, getStatus } from './api.js'

/** @import { AppEvent, AppStatus, Message } from '../types.js' */

/** Between two questions; a page nobody looks at is in no hurry. */
export const POLL_MS = 2000
export const HIDDEN_POLL_MS = 15_000

/**
 * @typedef {object} Options
 * @property {() => string} lastId
 * @property {() => boolean} visible
 * @property {(message: Message) => void} onMessage
 * @property {() => void} onAnswer
 * @property {() => void} onFailure
 * @property {(after: string) => Promise<{ id: string, events: AppEvent[], reset?: string }>} [askEvents]
 * @property {() => Promise<{ id: string, apps: AppStatus[] }>} [askStatus]
 */

/** @param {Options} options */
export function createPolling({
  lastId,
  visible,
  onMessage,
  onAnswer,
  onFailure,
  askEvents = getEvents,
  askStatus = getStatus,
}) {
  let running = false
  let asking = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer

  async function ask() {
    if (!lastId()) {
      const { id, apps } = await askStatus()
      if (running) onMessage({ type: 'snapshot', id, apps, receivedAt: Date.now() })
      return
    }
    const { id, events, reset } = await askEvents(lastId())
    if (reset !== undefined) {
      onMessage({ type: 'reset', reason: reset })
      await ask()
      return
    }
    const epoch = id.slice(0, id.lastIndexOf('.'))
    for (const event of events) {
      // A stream has taken over; it brings the rest itself.
      if (!running) return
      onMessage({ type: 'app', id: `${epoch}.${event.seq}`, event, receivedAt: Date.now(), fresh: false })
      // Each status is drawn, as it would be if it had come by stream.
      await null
    }
  }

  async function round() {
    clearTimeout(timer)
    if (asking) return
    asking = true
    const failed = await ask().then(
      () => false,
      () => true,
    )
    asking = false
    if (!running) return
    if (failed) onFailure()
    else onAnswer()
    if (running) timer = setTimeout(round, visible() ? POLL_MS : HIDDEN_POLL_MS)
  }

  return {
    start() {
      if (running) return
      running = true
      void round()
    },
    stop() {
      running = false
      clearTimeout(timer)
    },
    /** Does not wait for the next time. */
    now() {
      if (running) void round()
    },
    get running() {
      return running
    },
  }
}
