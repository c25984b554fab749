/**
 * Limits the number of browser windows that hold connections to the agent open.
 *
 * A browser opens at most six HTTP/1.1 connections to a host, and a window needs two for events and log.
 * Therefore the two oldest visible windows stream, and all other windows poll. Two connections remain for
 * requests.
 */

const MAX_WINDOWS = 2
/** Time in ms without a heartbeat after which another window counts as closed. */
const EXPIRY_MS = 25_000
const HEARTBEAT_MS = 10_000

/**
 * @typedef {object} Options
 * @property {() => boolean} visible
 * @property {() => void} onChange called after the result of `mayStream` has changed
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
  /**
   * Other visible windows of the same browser, by window id.
   * @type {Map<string, { since: number, heartbeatAt: number }>}
   */
  const others = new Map()
  let mayStream = visible()

  function update() {
    const now = Date.now()
    for (const [other, { heartbeatAt }] of others) if (now - heartbeatAt > EXPIRY_MS) others.delete(other)
    const older = [...others].filter(
      ([otherId, other]) => other.since < since || (other.since === since && otherId < id),
    )
    const may = visible() && older.length < MAX_WINDOWS
    if (may === mayStream) return
    mayStream = may
    onChange()
  }

  /**
   * Sends a heartbeat to the other windows.
   * @param {boolean} [isReply] false requests a reply from each other window
   */
  function announce(isReply = false) {
    channel?.postMessage({ id, since, visible: visible(), answer: isReply })
    update()
  }

  channel?.addEventListener('message', (/** @type {any} */ { data }) => {
    if (data.visible) others.set(data.id, { since: data.since, heartbeatAt: Date.now() })
    else others.delete(data.id)
    // A new window may stream only if fewer than two older windows reply, so each window replies at once.
    if (!data.answer && visible()) channel.postMessage({ id, since, visible: true, answer: true })
    update()
  })
  setInterval(() => announce(true), HEARTBEAT_MS)

  return {
    mayStream: () => mayStream,
    /** Must be called after this window was opened, shown or hidden. */
    announce: () => announce(),
    leave: () => channel?.postMessage({ id, since, visible: false, answer: true }),
  }
}
