/**
 * The wire: GET /api/events as messages for the store. Nothing is lost: the id of the last event is kept, and every
 * new connection asks for what came after it.
 *
 * A stream can die without anyone saying so (a proxy that went away, a laptop that slept), so silence counts as
 * trouble: after SILENCE_MS a fresh one takes over. The badge changes only if that one fails as well. A stream that
 * never says a word is held back on its way: then, and while other windows need the connections, the page asks.
 */
import { createPolling } from './polling.js'

/** @import { Connection, Message } from '../types.js' */

/** Two missed heartbeats (one every 15 s) and some patience. */
export const SILENCE_MS = 40_000
/** A connection that is not open after this long is given up. */
export const OPEN_LIMIT_MS = 15_000
/** Backoff when the browser has given up: doubles up to the limit, then half of it is left to chance. */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 20_000
/** How long the page asks before it tries a stream again that said nothing; doubles up to the limit. */
export const FIRST_MUTE_MS = 60_000
const LAST_MUTE_MS = 15 * 60_000

/**
 * @typedef {object} Options
 * @property {(message: Message) => void} onMessage
 * @property {string} [url]
 * @property {typeof EventSource} [Source]
 * @property {Pick<EventTarget, 'addEventListener'>[]} [wakers] what tells that the machine is awake or online again
 * @property {() => boolean} [visible]
 * @property {() => boolean} [mayHold] whether a connection may be held open
 * @property {() => number} [random]
 * @property {Partial<Parameters<typeof createPolling>[0]>} [polling]
 */

/** @param {Options} options */
export function createStream({
  onMessage,
  url = '/api/events',
  Source = globalThis.EventSource,
  wakers = [],
  visible = () => true,
  mayHold = () => true,
  random = Math.random,
  polling: pollingOptions = {},
}) {
  /** @type {EventSource | null} */
  let source = null
  let lastId = ''
  let failures = 0
  let mutes = 0
  let mutedUntil = 0
  let lastSign = 0
  let hasSpoken = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let stopped = true

  const polling = createPolling({
    lastId: () => lastId,
    visible,
    onMessage: receive,
    onAnswer() {
      lastSign = Date.now()
      tell('polling')
      if (mayTry()) open()
    },
    onFailure: () => tell('reconnecting'),
    ...pollingOptions,
  })

  /** While the page asks: whether a stream is worth another try. */
  const mayTry = () => source === null && mayHold() && Date.now() >= mutedUntil

  /** @param {Connection} state */
  function tell(state) {
    const since = lastSign ? new Date(lastSign).toISOString() : null
    onMessage({ type: 'connection', state, since })
  }

  /** @param {Message} message */
  function receive(message) {
    if ('id' in message) lastId = message.id
    if (message.type === 'reset') lastId = ''
    onMessage(message)
  }

  /** @param {() => void} act @param {number} ms */
  function wait(act, ms) {
    clearTimeout(timer)
    timer = setTimeout(act, ms)
  }

  /** Anything heard: the line is alive; whether the news is, too, the agent says. */
  function heard(live = true) {
    failures = 0
    lastSign = Date.now()
    if (live) tell('live')
    wait(silent, hasSpoken ? SILENCE_MS : OPEN_LIMIT_MS + SILENCE_MS / 4)
  }

  function open() {
    close()
    if (!mayHold()) return polling.start()
    const fresh = new Source(lastId ? `${url}?since=${encodeURIComponent(lastId)}` : url)
    source = fresh
    hasSpoken = false
    wait(silent, OPEN_LIMIT_MS)
    listen(fresh, (message) => {
      if (fresh !== source) return
      hasSpoken = true
      mutes = 0
      polling.stop()
      receive(message)
      heard(message.type !== 'stale')
    })
    fresh.addEventListener('open', () => fresh === source && heard(!polling.running))
    fresh.addEventListener('error', () => fresh === source && lost(fresh))
  }

  function close() {
    clearTimeout(timer)
    source?.close()
    source = null
  }

  /** It went well until now: a fresh one. It never said anything: something on the way holds it back. */
  function silent() {
    if (hasSpoken) return open()
    close()
    if (!polling.running) tell('reconnecting')
    mutedUntil = Date.now() + Math.min(LAST_MUTE_MS, FIRST_MUTE_MS * 2 ** mutes)
    mutes += 1
    polling.start()
  }

  /** @param {EventSource} fresh */
  function lost(fresh) {
    tell('reconnecting')
    // While CONNECTING the browser tries again by itself (after the server's `retry:`), with Last-Event-ID.
    if (fresh.readyState === Source.CLOSED) giveUp()
    else wait(giveUp, OPEN_LIMIT_MS)
  }

  function giveUp() {
    close()
    tell('reconnecting')
    const ceiling = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures)
    failures += 1
    wait(open, ceiling / 2 + (random() * ceiling) / 2)
  }

  /** Back from sleep or from the background: do not wait for a timer that slept as well. */
  function wake() {
    if (stopped || !visible()) return
    if (polling.running) polling.now()
    else if (source === null || Date.now() - lastSign >= SILENCE_MS) open()
  }

  return {
    /** @param {string} [since] the id of what is already here */
    start(since = '') {
      if (!stopped) return
      stopped = false
      lastId = since
      for (const waker of wakers) for (const event of WAKE_EVENTS) waker.addEventListener(event, wake)
      open()
    },
    /** Whether connections may be held has changed. */
    tune() {
      if (stopped) return
      if (polling.running && mayTry()) open()
      else if (!mayHold() && !polling.running) open()
    },
    stop() {
      stopped = true
      polling.stop()
      close()
    },
    lastId: () => lastId,
  }
}

/** What arrives within this time of opening may be a replay, and says nothing about the clock. */
const REPLAY_MS = 2000

const WAKE_EVENTS = ['visibilitychange', 'online', 'pageshow', 'focus']

/** @param {EventSource} source @param {(message: Message) => void} receive */
function listen(source, receive) {
  let openedAt = Number.POSITIVE_INFINITY
  source.addEventListener('open', () => {
    openedAt = Date.now()
  })
  /** @param {string} name @param {(data: any, id: string) => Message} make */
  const on = (name, make) =>
    source.addEventListener(name, (event) =>
      receive(make(event.data ? JSON.parse(event.data) : {}, event.lastEventId)),
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
