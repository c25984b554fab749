/**
 * How many windows of this browser hold connections open. A browser grants one host six: those of a stream and a log
 * stay taken, and with three windows nothing would be left for a request. So the oldest two visible windows hold
 * theirs, and all others ask every few seconds.
 */

/** Windows that may hold connections. */
const SEATS = 2
/** A window that was not heard of for this long is gone, whether it said so or not. */
const GONE_MS = 25_000
const TELL_MS = 10_000

/**
 * @typedef {object} Options
 * @property {() => boolean} visible
 * @property {() => void} onChange whether this window may hold connections has changed
 * @property {() => Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>} [open]
 * @property {string} [id]
 */

/** @param {Options} options */
export function createTabs({
  visible,
  onChange,
  open,
  id = crypto.getRandomValues(new Uint32Array(2)).join('-'),
}) {
  const channel = open?.() ?? (typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('bloud'))
  const since = Date.now()
  /** Other visible windows. @type {Map<string, { since: number, heardAt: number }>} */
  const others = new Map()
  let mayHold = visible()

  function count() {
    const now = Date.now()
    for (const [other, { heardAt }] of others) if (now - heardAt > GONE_MS) others.delete(other)
    const before = [...others].filter(
      ([other, one]) => one.since < since || (one.since === since && other < id),
    )
    const may = visible() && before.length < SEATS
    if (may === mayHold) return
    mayHold = may
    onChange()
  }

  /** @param {boolean} [answer] */
  function tell(answer = false) {
    channel?.postMessage({ id, since, visible: visible(), answer })
    count()
  }

  channel?.addEventListener('message', (/** @type {any} */ { data }) => {
    if (data.visible) others.set(data.id, { since: data.since, heardAt: Date.now() })
    else others.delete(data.id)
    // A newcomer hears of us at once, and not only when we tell anyway.
    if (!data.answer && visible()) channel.postMessage({ id, since, visible: true, answer: true })
    count()
  })
  setInterval(() => tell(true), TELL_MS)

  return {
    mayHold: () => mayHold,
    tell: () => tell(),
    leave: () => channel?.postMessage({ id, since, visible: false, answer: true }),
  }
}
