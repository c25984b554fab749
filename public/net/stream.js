/**
 * The stream of events, GET /api/events, as messages for the store.
 *
 * No event is lost: the id of the last event is kept, and every new connection requests the events after it.
 * A stream can break without an error event (a proxy went away, a laptop slept), so silence counts as a
 * failure. After SILENCE_MS a second connection replaces the first; the badge changes only if the second one
 * fails too. A stream that opens but never delivers a message is buffered on its way, usually by a proxy. The
 * page then polls instead, and also while other windows of the browser need the connections.
 */
import { createBackoff, createConnection, SILENCE_MS } from './connection.js'
import { createPolling } from './polling.js'

/** @import { Connection, Message } from '../types.js' */

/**
 * Pause before the page tries a stream again that delivered nothing; doubles up to the limit. In
 * milliseconds.
 */
export const FIRST_BLOCK_MS = 60_000
const LAST_BLOCK_MS = 15 * 60_000

const WAKE_EVENTS = ['visibilitychange', 'online', 'pageshow', 'focus']

/**
 * @typedef {object} TransportOptions
 * @property {(message: Message) => void} onMessage
 * @property {string} [url]
 * @property {typeof EventSource} [Source]
 * @property {() => boolean} [visible]
 * @property {() => boolean} [mayStream] true if this window may hold a connection open
 * @property {() => number} [random]
 * @property {Partial<Parameters<typeof createPolling>[0]>} [polling]
 */

/**
 * @typedef {TransportOptions & { wakeTargets?: Pick<EventTarget, 'addEventListener'>[] }} Options
 *   `wakeTargets`: objects whose events mean that the machine is awake or online again.
 */

/** Starts and stops the stream, and checks it when the machine wakes. @param {Options} options */
export function createStream({ wakeTargets = [], visible = () => true, ...options }) {
  const transport = createTransport({ ...options, visible })
  let stopped = true

  /** Checks the stream at once, because timers do not run while the machine sleeps. */
  function wake() {
    if (!stopped && visible()) transport.check()
  }

  return {
    /** @param {string} [since] id of the last event the page already has */
    start(since = '') {
      if (!stopped) return
      stopped = false
      for (const target of wakeTargets) for (const name of WAKE_EVENTS) target.addEventListener(name, wake)
      transport.open(since)
    },
    /** Changes between stream and polling after the result of `mayStream` has changed. */
    sync() {
      if (!stopped) transport.sync()
    },
    stop() {
      stopped = true
      transport.close()
    },
    lastId: transport.lastId,
  }
}

/** Receives the events either by stream or by polling. @param {TransportOptions} options */
function createTransport({
  onMessage,
  url = '/api/events',
  Source = globalThis.EventSource,
  visible = () => true,
  mayStream = () => true,
  random = Math.random,
  polling: pollingOptions = {},
}) {
  let lastId = ''
  let lastActivity = 0
  let blockedUntil = 0
  const blocks = createBackoff(FIRST_BLOCK_MS, LAST_BLOCK_MS)

  const polling = createPolling({
    lastId: () => lastId,
    visible,
    onMessage: receive,
    onSuccess() {
      markActive('polling')
      if (canStream()) open()
    },
    onFailure: () => report('reconnecting'),
    ...pollingOptions,
  })

  const connection = createConnection({
    Source,
    random,
    onOpen: () => markActive(polling.running ? null : 'live'),
    onMessage(message) {
      blocks.reset()
      polling.stop()
      receive(message)
      markActive(message.type === 'stale' ? null : 'live')
    },
    onLost: () => report('reconnecting'),
    onBlocked() {
      if (!polling.running) report('reconnecting')
      blockedUntil = Date.now() + blocks.next()
      polling.start()
    },
    reopen: open,
  })

  const canStream = () => !connection.active && mayStream() && Date.now() >= blockedUntil

  /** @param {Connection} state */
  function report(state) {
    const since = lastActivity ? new Date(lastActivity).toISOString() : null
    onMessage({ type: 'connection', state, since })
  }

  /** @param {Connection | null} state null leaves the badge as it is */
  function markActive(state) {
    lastActivity = Date.now()
    if (state) report(state)
  }

  /** @param {Message} message */
  function receive(message) {
    if ('id' in message) lastId = message.id
    if (message.type === 'reset') lastId = ''
    onMessage(message)
  }

  function open() {
    connection.close()
    if (mayStream()) connection.open(lastId ? `${url}?since=${encodeURIComponent(lastId)}` : url)
    else polling.start()
  }

  return {
    /** @param {string} since */
    open(since) {
      lastId = since
      open()
    },
    sync() {
      if (polling.running ? canStream() : !mayStream()) open()
    },
    check() {
      if (polling.running) polling.now()
      else if (!connection.active || Date.now() - lastActivity >= SILENCE_MS) open()
    },
    close() {
      polling.stop()
      connection.close()
    },
    lastId: () => lastId,
  }
}
