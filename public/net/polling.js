/** Polls for the same events that the stream delivers, for when no stream works or none may be held open. */
import { getEvents, getStatus } from './api.js'

/** @import { AppEvent, AppStatus, Message } from '../types.js' */

/** Interval between two polls in milliseconds, and the longer one of a page in the background. */
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
    /** Polls at once instead of at the next interval. */
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
 * Reads the events since the last one, or a snapshot if there is no last one.
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
    // A stream has replaced the polling and delivers the remaining events itself.
    if (!isRunning()) return
    onMessage({ type: 'app', id: `${epoch}.${event.seq}`, event, receivedAt: Date.now(), fresh: false })
    // Lets the planned render run before the next event, so that each status is rendered, as with a stream.
    await null
  }
}
