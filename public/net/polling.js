/** Polls GET /api/events while a proxy blocks the stream, or while other windows use the connections. */
import { getEvents, getStatus } from './api.js'

/** @import { AppEvent, AppStatus, Message } from '../types.js' */

/** Interval in ms between two polls of a visible page. A hidden page polls every HIDDEN_POLL_MS. */
export const POLL_MS = 2000
export const HIDDEN_POLL_MS = 15_000

/**
 * @typedef {object} Options
 * @property {() => string} lastId
 * @property {() => boolean} visible
 * @property {(message: Message) => void} onMessage
 * @property {() => void} onSuccess
 * @property {() => void} onFailure
 * @property {(after: string) => Promise<{ id: string, events: AppEvent[], reset?: string }>} [fetchEvents]
 * @property {() => Promise<{ id: string, apps: AppStatus[] }>} [fetchStatus]
 */

/** @param {Options} options */
export function createPolling({ visible, onSuccess, onFailure, ...options }) {
  let running = false
  let requesting = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer

  async function round() {
    clearTimeout(timer)
    if (requesting) return
    requesting = true
    const failed = await poll({ ...options, isRunning: () => running }).then(
      () => false,
      () => true,
    )
    requesting = false
    if (!running) return
    if (failed) onFailure()
    else onSuccess()
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
    now() {
      if (running) void round()
    },
    get running() {
      return running
    },
  }
}

/**
 * @typedef {Omit<Options, 'visible' | 'onSuccess' | 'onFailure'> & { isRunning: () => boolean }} PollOptions
 */

/**
 * Requests the events after the last received event, or the status of all apps if no event was received.
 * @param {PollOptions} options
 */
async function poll(options) {
  const { lastId, onMessage, isRunning, fetchEvents = getEvents, fetchStatus = getStatus } = options
  if (!lastId()) {
    const { id, apps } = await fetchStatus()
    if (isRunning()) onMessage({ type: 'snapshot', id, apps, receivedAt: Date.now() })
    return
  }
  const { id, events, reset } = await fetchEvents(lastId())
  if (reset !== undefined) {
    onMessage({ type: 'reset', reason: reset })
    await poll(options)
    return
  }
  const epoch = id.slice(0, id.lastIndexOf('.'))
  for (const event of events) {
    // Polling was stopped during the request, because a stream works again and delivers the remaining events.
    if (!isRunning()) return
    onMessage({ type: 'app', id: `${epoch}.${event.seq}`, event, receivedAt: Date.now(), fresh: false })
    // Lets the render of this event run in a microtask, because the page must display each status.
    await null
  }
}
