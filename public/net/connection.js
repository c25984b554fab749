/** Connection to the event stream GET /api/events: an EventSource with time limits and reconnects. */

/** @import { Message } from '../types.js' */

/** Time in ms without a message after which the page reconnects. The agent sends a heartbeat every 15 s. */
export const SILENCE_MS = 40_000
export const OPEN_LIMIT_MS = 15_000
/** Delay in ms before the first reconnect. The delay doubles with each failure, up to LAST_RETRY_MS. */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 20_000
/**
 * Time in ms after the start of a connection in which the agent may send old events. Only the times of later
 * events are used to measure the clock skew between browser and server.
 */
const REPLAY_MS = 2000

/**
 * @typedef {object} Options
 * @property {typeof EventSource} Source
 * @property {() => number} random
 * @property {() => void} onOpen
 * @property {(message: Message) => void} onMessage
 * @property {() => void} onLost
 * @property {() => void} onBlocked called if a new connection was closed without a message
 * @property {() => void} reopen opens a new connection, or starts polling
 */

/** @param {Options} options */
export function createConnection({ Source, random, onOpen, onMessage, onLost, onBlocked, reopen }) {
  /** @type {EventSource | null} */
  let source = null
  let hasReceived = false
  const timer = createTimer()
  const retries = createBackoff(FIRST_RETRY_MS, LAST_RETRY_MS)

  function close() {
    timer.stop()
    source?.close()
    source = null
  }

  function keepAlive() {
    retries.reset()
    timer.start(hasReceived ? SILENCE_MS : OPEN_LIMIT_MS + SILENCE_MS / 4, onSilence)
  }

  function onSilence() {
    if (hasReceived) return reopen()
    close()
    onBlocked()
  }

  function onError() {
    onLost()
    // The browser reconnects by itself while readyState is CONNECTING. After OPEN_LIMIT_MS the page
    // opens a new connection.
    if (source?.readyState === Source.CLOSED) retry()
    else timer.start(OPEN_LIMIT_MS, retry)
  }

  function retry() {
    close()
    onLost()
    const ms = retries.next()
    timer.start(ms / 2 + (random() * ms) / 2, reopen)
  }

  return {
    close,
    /** @param {string} url */
    open(url) {
      close()
      const fresh = new Source(url)
      source = fresh
      hasReceived = false
      timer.start(OPEN_LIMIT_MS, onSilence)
      listen(fresh, (message) => {
        if (fresh !== source) return
        hasReceived = true
        keepAlive()
        onMessage(message)
      })
      fresh.addEventListener('open', () => {
        if (fresh !== source) return
        keepAlive()
        onOpen()
      })
      fresh.addEventListener('error', () => fresh === source && onError())
    },
    get active() {
      return source !== null
    },
  }
}

function createTimer() {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  return {
    /** @param {number} ms @param {() => void} run */
    start(ms, run) {
      clearTimeout(timer)
      timer = setTimeout(run, ms)
    },
    stop: () => clearTimeout(timer),
  }
}

/**
 * Returns retry delays in ms: `next` returns first `firstMs`, then twice the former delay, up to `limitMs`.
 * @param {number} firstMs
 * @param {number} limitMs
 */
export function createBackoff(firstMs, limitMs) {
  let failures = 0
  return {
    next() {
      const ms = Math.min(limitMs, firstMs * 2 ** failures)
      failures += 1
      return ms
    },
    reset() {
      failures = 0
    },
  }
}

/**
 * Converts the events of an EventSource to messages for `receive`.
 * @param {EventSource} source
 * @param {(message: Message) => void} receive
 */
function listen(source, receive) {
  let openedAt = Number.POSITIVE_INFINITY
  source.addEventListener('open', () => {
    openedAt = Date.now()
  })
  /** @param {string} name @param {(data: any, id: string) => Message} toMessage */
  const on = (name, toMessage) =>
    source.addEventListener(name, (event) =>
      receive(toMessage(event.data ? JSON.parse(event.data) : {}, event.lastEventId)),
    )
  on('snapshot', ({ apps }, id) => ({ type: 'snapshot', id, apps, receivedAt: Date.now() }))
  on('app', (event, id) => {
    const receivedAt = Date.now()
    return { type: 'app', id, event, receivedAt, fresh: receivedAt - openedAt > REPLAY_MS }
  })
  on('reset', ({ reason }) => ({ type: 'reset', reason: reason ?? '' }))
  on('heartbeat', ({ at }) => ({ type: 'heartbeat', at: at ?? '', receivedAt: Date.now() }))
  on('refresh', () => ({ type: 'refresh' }))
  on('stale', ({ since }) => ({ type: 'stale', since }))
}
