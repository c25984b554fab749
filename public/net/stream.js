/**
 * Receives the events of the agent by event stream (GET /api/events) or by polling.
 *
 * A new connection requests the events after the last received event, so no event is lost. A connection
 * without a message for SILENCE_MS is replaced, because a stream can break without an error event.
 *
 * If a new stream delivers no message, a proxy probably buffers the stream. The page then polls and tries the
 * stream again later.
 */
import { createBackoff, createConnection, SILENCE_MS } from './connection.js'
import { createPolling } from './polling.js'

/** @import { Connection, Message } from '../types.js' */

/**
 * Time in ms for which the page polls after a stream delivered no message. Each further stream without a
 * message doubles the time, up to LAST_BLOCK_MS.
 */
export const FIRST_BLOCK_MS = 60_000
const LAST_BLOCK_MS = 15 * 60_000

const EVENTS_URL = '/api/events'
const WAKE_EVENTS = ['visibilitychange', 'online', 'pageshow', 'focus']

/**
 * @typedef {object} TransportOptions
 * @property {(message: Message) => void} onMessage
 * @property {typeof EventSource} [Source]
 * @property {() => boolean} visible
 * @property {() => boolean} [mayStream] returns true if this window may hold a connection open
 * @property {() => number} [random]
 * @property {Partial<Parameters<typeof createPolling>[0]>} [polling]
 */

/**
 * @typedef {object} WakeOptions
 * @property {Pick<EventTarget, 'addEventListener'>[]} [wakeTargets] objects whose events mean that the
 *   machine is awake or online again
 * @property {() => boolean} [visible]
 */

/** @param {Omit<TransportOptions, 'visible'> & WakeOptions} options */
export function createStream({ wakeTargets = [], visible = () => true, ...options }) {
  const transport = createTransport({ ...options, visible })
  let stopped = true

  /** Checks the connection after the machine slept, because timers do not run during the sleep. */
  function wake() {
    if (!stopped && visible()) transport.check()
  }

  return {
    /** @param {string} [since] id of the last event the page already has */
    start(since = '') {
      if (!stopped) return
      stopped = false
      for (const target of wakeTargets) for (const name of WAKE_EVENTS) target.addEventListener(name, wake)
      transport.feed.beginAfter(since)
      transport.open()
    },
    /** Must be called after the result of `mayStream` has changed, to change between stream and polling. */
    sync() {
      if (!stopped) transport.sync()
    },
    stop() {
      stopped = true
      transport.close()
    },
    lastId: transport.feed.lastId,
  }
}

/** @param {TransportOptions} options */
function createTransport({
  onMessage,
  visible,
  Source = globalThis.EventSource,
  mayStream = () => true,
  random = Math.random,
  polling: pollingOptions = {},
}) {
  const feed = createFeed(onMessage)
  let blockedUntil = 0
  const blocks = createBackoff(FIRST_BLOCK_MS, LAST_BLOCK_MS)

  const polling = createPolling({
    lastId: feed.lastId,
    visible,
    onMessage: feed.receive,
    onSuccess() {
      feed.markActive('polling')
      if (canStream()) open()
    },
    onFailure: () => feed.report('reconnecting'),
    ...pollingOptions,
  })

  const connection = createConnection({
    Source,
    random,
    onOpen: () => feed.markActive(polling.running ? null : 'live'),
    onMessage(message) {
      blocks.reset()
      polling.stop()
      feed.receive(message)
      feed.markActive(message.type === 'stale' ? null : 'live')
    },
    onLost: () => feed.report('reconnecting'),
    onBlocked() {
      if (!polling.running) feed.report('reconnecting')
      blockedUntil = Date.now() + blocks.next()
      polling.start()
    },
    reopen: open,
  })

  const canStream = () => !connection.active && mayStream() && Date.now() >= blockedUntil

  function open() {
    connection.close()
    const since = feed.lastId()
    if (!mayStream()) polling.start()
    else connection.open(since ? `${EVENTS_URL}?since=${encodeURIComponent(since)}` : EVENTS_URL)
  }

  return {
    open,
    sync() {
      if (polling.running ? canStream() : !mayStream()) open()
    },
    check() {
      if (polling.running) polling.now()
      else if (!connection.active || feed.isSilent()) open()
    },
    close() {
      polling.stop()
      connection.close()
    },
    feed,
  }
}

/**
 * Passes messages to `onMessage`, and stores the id of the last event and the time of the last message.
 * @param {(message: Message) => void} onMessage
 */
function createFeed(onMessage) {
  let lastId = ''
  let lastActivity = 0

  /** @param {Connection} state */
  function report(state) {
    const since = lastActivity ? new Date(lastActivity).toISOString() : null
    onMessage({ type: 'connection', state, since })
  }

  return {
    report,
    /** @param {Connection | null} state null leaves the displayed state as it is */
    markActive(state) {
      lastActivity = Date.now()
      if (state) report(state)
    },
    /** @param {Message} message */
    receive(message) {
      if ('id' in message) lastId = message.id
      if (message.type === 'reset') lastId = ''
      onMessage(message)
    },
    /** @param {string} id */
    beginAfter(id) {
      lastId = id
      // The HTML of the page contains the status at the event `id`.
      if (id) lastActivity = Date.now()
    },
    lastId: () => lastId,
    isSilent: () => Date.now() - lastActivity >= SILENCE_MS,
  }
}
