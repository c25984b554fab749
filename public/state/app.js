/**
 * The apps as the page holds them: snapshots, events and status results folded into one picture. Pure; part of the
 * reducer.
 *
 * An event moves one app at once. A status result (GET /api/status) knows more (controls, causes, places in the queue)
 * and comes on another way, so it can be older or newer than the stream: what is older than an app's last event says
 * nothing about that app any more, and what is newer waits until the stream has got there. Otherwise the page would
 * show where an app has arrived before the way it took.
 */
import { isCancelled, needsAttention } from './status.js'
import { LABELS } from './text.js'

/** @import { Announcement, App, AppEvent, AppStatus, Message, Said, State, Status } from '../types.js' */

/** @typedef {Extract<Message, { type: 'snapshot' }>} Snapshot */
/** @typedef {Extract<Message, { type: 'status' }>} StatusResult */

/** `<epoch>.<seq>`. @param {string} id */
export function parseId(id) {
  const dot = id.lastIndexOf('.')
  return { epoch: id.slice(0, dot), seq: Number(id.slice(dot + 1)) }
}

/** All apps at once, with controls: the stream begins here. @param {State} state @param {Snapshot} message
 *  @returns {State} */
export function applySnapshot(state, { id, apps: list, receivedAt }) {
  const at = parseId(id)
  /** @type {State['apps']} */
  const apps = {}
  let announcement = state.announcement
  for (const row of list) {
    const before = state.apps[row.name]
    apps[row.name] = renewed(before, row, at.seq)
    if (state.loaded && before?.status !== row.status) announcement = announce(announcement, row)
  }
  const next = { ...state, ...at, apps, announcement, loaded: true }
  return catchUp({ ...next, skew: skewOf(next, list, receivedAt) })
}

/** @param {State} state @param {StatusResult} message @returns {State} */
export function applyStatus(state, message) {
  const at = parseId(message.id)
  // Another epoch: only the stream says (by a reset) that the history was exchanged.
  if (at.epoch !== state.epoch) return state
  if (at.seq <= state.seq) return fill(state, at.seq, message)
  return state.ahead && parseId(state.ahead.id).seq > at.seq ? state : { ...state, ahead: message }
}

/** @param {State} state @returns {State} */
function catchUp(state) {
  if (!state.ahead) return state
  const at = parseId(state.ahead.id)
  if (at.epoch !== state.epoch) return { ...state, ahead: null }
  return at.seq > state.seq ? state : fill({ ...state, ahead: null }, at.seq, state.ahead)
}

/** What a result of the moment `seq` knows about apps that have not moved since.
 *  @param {State} state @param {number} seq @param {StatusResult} result @returns {State} */
function fill(state, seq, { apps: list, receivedAt }) {
  /** @type {State['apps']} */
  const changed = {}
  for (const row of list) {
    const before = state.apps[row.name]
    if (!before || before.seq > seq) continue
    const after = renewed(before, row, before.seq)
    if (after !== before) changed[row.name] = after
  }
  const skew = skewOf(state, list, receivedAt)
  if (Object.keys(changed).length === 0) return skew === state.skew ? state : { ...state, skew }
  return { ...state, skew, apps: { ...state.apps, ...changed } }
}

/** The same object when it says the same, so that only what changed is drawn anew.
 *  @param {App | undefined} before @param {AppStatus} row @param {number} seq @returns {App} */
function renewed(before, row, seq) {
  if (before && !before.stale && before.seq === seq && saysTheSame(before, row)) return before
  return { ...row, seq, stale: false }
}

/** @param {App} app @param {AppStatus} row */
const saysTheSame = (app, row) =>
  Object.entries(row).every(([key, value]) => {
    const known = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (app))[key]
    return known === value || (typeof value === 'object' && isAlike(known, value))
  })

/** Deep, for what came as JSON. @param {any} a @param {any} b @returns {boolean} */
export function isAlike(a, b) {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = Object.keys(b)
  return keys.length === Object.keys(a).length && keys.every((key) => isAlike(a[key], b[key]))
}

/** @param {{ operation_id: unknown } | undefined} a @param {{ operation_id: unknown }} b */
const isSameOperation = (a, b) => a !== undefined && String(a.operation_id) === String(b.operation_id)

/** @param {State} state @param {Extract<Message, { type: 'app' }>} message @returns {State} */
export function applyEvent(state, { id, event, receivedAt, fresh }) {
  const at = parseId(id)
  // A reconnect may replay what was already seen.
  if (at.epoch === state.epoch && at.seq <= state.seq) return state
  const name = event.name ?? event.app
  const apps = { ...state.apps }
  // Not by taking the others out: of hundreds, that takes longer than all the rest of this.
  if (event.to_status === null) delete apps[name]
  else apps[name] = moved(state.apps[name], event, at.seq)
  const announcement =
    event.to_status === null
      ? say(state.announcement, { app: name, text: `${event.display_name}: removed` }, false)
      : announce(state.announcement, { ...event, name, status: event.to_status })
  const measured = settleSkew(state, measureSkew(state.skew, event.at, receivedAt, fresh))
  return catchUp({ ...measured, ...at, apps, announcement })
}

/** Status at once; everything the event does not carry is unknown until the next result, the controls are kept as
 *  stale. @param {App | undefined} before @param {AppEvent} event @param {number} seq @returns {App} */
function moved(before, event, seq) {
  const { seq: _seq, app, from_status, to_status, at, actor: _actor, origin: _origin, ...row } = event
  const kept = isSameOperation(before, event)
    ? before
    : { controls: before?.controls ?? {}, required_by: before?.required_by ?? [], protocol: before?.protocol }
  return {
    ...kept,
    ...row,
    name: row.name ?? app,
    status: to_status ?? row.status,
    status_since: at,
    cause: event.cause ?? null,
    deadline: null,
    usual: null,
    queue_position: null,
    stale: true,
    seq,
    spent: isSameOperation(before, event) ? spentUntil(before, from_status, at) : {},
  }
}

/** @param {App | undefined} before @param {Status | null} left @param {string} at */
function spentUntil(before, left, at) {
  if (!before || left === null || left !== before.status) return before?.spent ?? {}
  return { ...before.spent, [left]: (Date.parse(at) - Date.parse(before.status_since)) / 1000 }
}

/** Nothing here may be acted upon until a snapshot follows. @param {State} state @returns {State} */
export function forget(state) {
  const apps = Object.entries(state.apps).map(([name, app]) => [name, { ...app, stale: true }])
  return { ...state, epoch: null, seq: 0, ahead: null, apps: Object.fromEntries(apps) }
}

/** Differences below this are the way of the news on a busy line, and not worth drawing every clock anew. */
const SKEW_STEP_MS = 2000

/** @param {State} state @param {number} skew @returns {State} */
export const settleSkew = (state, skew) =>
  Math.abs(skew - state.skew) < SKEW_STEP_MS ? state : { ...state, skew }

/** How far this machine's clock is ahead of the server's. What was said just now measures it; a time the server has
 *  merely reached already bounds it.
 *  @param {number} skew @param {string} at @param {number} receivedAt @param {boolean} fresh */
export function measureSkew(skew, at, receivedAt, fresh) {
  const measured = receivedAt - Date.parse(at)
  if (!Number.isFinite(measured)) return skew
  return fresh ? measured : Math.min(skew, measured)
}

/** @param {State} state @param {AppStatus[]} list @param {number} receivedAt */
const skewOf = (state, list, receivedAt) =>
  list.reduce((least, row) => measureSkew(least, row.status_since, receivedAt, false), state.skew)

/** Failures remembered, of any number of apps. */
const MAX_URGENT = 12

/** @param {Announcement} before @param {Pick<App, 'name' | 'display_name' | 'status' | 'cause'>} app */
function announce(before, app) {
  const { name, display_name, status, cause } = app
  const why = needsAttention(status) && cause ? `. ${cause.message}` : ''
  const text = `${display_name}: ${LABELS[status]}${why}`
  return say(before, { app: name, text }, needsAttention(status) && !isCancelled(app))
}

/** Several may come between two drawings: a failure is not lost to what is said of another app after it.
 *  @param {Announcement} before @param {Said} said @param {boolean} urgent
 *  @returns {Announcement} */
function say({ polite, urgent: failures }, said, urgent) {
  const others = failures.filter(({ app }) => app !== said.app)
  if (!urgent) return { polite: said, urgent: others }
  const rest = polite.app === said.app ? { app: '', text: '' } : polite
  return { polite: rest, urgent: [...others, said].slice(-MAX_URGENT) }
}
