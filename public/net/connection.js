/** A connection to GET /api/events: at most one EventSource, with its time limits and its reconnects. */

/** @import { Message } from '../types.js' */

/**
 * Time without a message after which a connection is replaced: two missed heartbeats (15 s each) and 10 s.
 */
export const SILENCE_MS = 40_000
/** Upper limit in milliseconds for opening a connection. */
export const OPEN_LIMIT_MS = 15_000
/**
 * Backoff in milliseconds after the browser has given up: doubles up to the limit; half of the delay is
 * jitter.
 */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 20_000
/**
 * A message within this time after opening may be a replay, so its time is not used to measure the clock
 * skew.
 */
const REPLAY_MS = 2000

/**
 * @typedef {object} Options
 * @property {typeof EventSource} Source
 * @property {() => number} random
 * @property {() => void} onOpen
 * @property {(message: Message) => void} onMessage
 * @property {() => void} onLost
 * @property {() => void} onBlocked called after the connection was open, delivered nothing and was closed
 * @property {() => void} reopen opens a connection again, or changes to polling
 */

/** @param {Options} options */
export function createConnection({ Source, random, onOpen, onMessage, onLost, onBlocked, reopen }) {
  /** @type {EventSource | null} */
  let source = null
  let hasReceived = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  const retries = createBackoff(FIRST_RETRY_MS, LAST_RETRY_MS)

  /** @param {() => void} run @param {number} ms */
  function wait(run, ms) {
    clearTimeout(timer)
    timer = setTimeout(run, ms)
  }

  function close() {
    clearTimeout(timer)
    source?.close()
    source = null
  }

  /** Restarts the time limit after every sign that the connection works. */
  function keepAlive() {
    retries.reset()
    wait(onSilence, hasReceived ? SILENCE_MS : OPEN_LIMIT_MS + SILENCE_MS / 4)
  }

  function onSilence() {
    if (hasReceived) return reopen()
    close()
    onBlocked()
  }

  function retry() {
    close()
    onLost()
    const ms = retries.next()
    wait(reopen, ms / 2 + (random() * ms) / 2)
  }

  return {
    close,
    /** Replaces the connection; messages of the former one are ignored. @param {string} url */
    open(url) {
      close()
      const fresh = new Source(url)
      source = fresh
      hasReceived = false
      wait(onSilence, OPEN_LIMIT_MS)
      /** @param {() => void} run */
      const ifCurrent = (run) => fresh === source && run()
      listen(fresh, (message) =>
        ifCurrent(() => {
          hasReceived = true
          keepAlive()
          onMessage(message)
        }),
      )
      fresh.addEventListener('open', () =>
        ifCurrent(() => {
          keepAlive()
          onOpen()
        }),
      )
      fresh.addEventListener('error', () =>
        ifCurrent(() => {
          onLost()
          // In CONNECTING the browser retries by itself, after the server's `retry:` and with Last-Event-ID.
          if (fresh.readyState === Source.CLOSED) retry()
          else wait(retry, OPEN_LIMIT_MS)
        }),
      )
    },
    get active() {
      return source !== null
    },
  }
}

/**
 * Returns delays that double from the first one up to the limit.
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
 * Turns the events of an EventSource into messages.
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
