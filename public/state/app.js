/**
 * Reducer functions for the apps in the state of the page.
 *
 * An event changes one app immediately. A response of GET /api/status that includes events not yet received
 * waits for these events, because the page must display every status.
 */
import { own, without } from './record.js'
import { isCancelled, needsAttention } from './status.js'
import { LABELS } from './text.js'

/**
 * @import { Announcement, App, AppEvent, AppStatus, LiveRegions, Message, State, Status } from '../types.js'
 */

/** @typedef {Extract<Message, { type: 'snapshot' }>} Snapshot */
/** @typedef {Extract<Message, { type: 'status' }>} StatusResult */

/** Parses the id of an event, `<epoch>.<seq>`. @param {string} id */
export function parseId(id) {
  const dot = id.lastIndexOf('.')
  return { epoch: id.slice(0, dot), seq: Number(id.slice(dot + 1)) }
}

/**
 * Replaces all apps by a snapshot (status of all apps at one event number).
 * @param {State} state
 * @param {Snapshot} message
 * @returns {State}
 */
export function applySnapshot(state, { id, apps: list, receivedAt }) {
  const at = parseId(id)
  /** @type {[string, App][]} */
  const apps = []
  let { liveRegions } = state
  for (const row of list) {
    const before = own(state.apps, row.name)
    apps.push([row.name, updated(before, row, at.seq)])
    if (state.loaded && before?.status !== row.status) liveRegions = announceStatus(liveRegions, row)
  }
  const next = { ...state, ...at, apps: Object.fromEntries(apps), liveRegions, loaded: true }
  return applyEarlyStatus({ ...next, skew: skewOf(next, list, receivedAt) })
}

/** @param {State} state @param {StatusResult} message @returns {State} */
export function applyStatus(state, message) {
  const at = parseId(message.id)
  // Ignores the response after a restore of the database, which changes the epoch (id of the history). The
  // stream then sends the event `reset` and a snapshot.
  if (at.epoch !== state.epoch) return state
  if (at.seq <= state.seq) return mergeStatus(state, at.seq, message)
  const { earlyStatus } = state
  return earlyStatus && parseId(earlyStatus.id).seq > at.seq ? state : { ...state, earlyStatus: message }
}

/**
 * Applies the waiting response of GET /api/status once all events that the response includes were received.
 * @param {State} state
 * @returns {State}
 */
function applyEarlyStatus(state) {
  const { earlyStatus } = state
  if (!earlyStatus) return state
  const at = parseId(earlyStatus.id)
  if (at.epoch !== state.epoch) return { ...state, earlyStatus: null }
  return at.seq > state.seq ? state : mergeStatus({ ...state, earlyStatus: null }, at.seq, earlyStatus)
}

/**
 * Updates apps from a response of GET /api/status. An app with an event newer than the response stays
 * unchanged.
 * @param {State} state
 * @param {number} seq number of the newest event that the response includes
 * @param {StatusResult} result
 * @returns {State}
 */
function mergeStatus(state, seq, { apps: list, receivedAt }) {
  /** @type {[string, App][]} */
  const changed = []
  for (const row of list) {
    const before = own(state.apps, row.name)
    if (!before || before.seq > seq) continue
    const after = updated(before, row, before.seq)
    if (after !== before) changed.push([row.name, after])
  }
  const skew = skewOf(state, list, receivedAt)
  if (changed.length === 0) return skew === state.skew ? state : { ...state, skew }
  return { ...state, skew, apps: { ...state.apps, ...Object.fromEntries(changed) } }
}

/**
 * Returns the updated app. An unchanged app stays the same object and is not rendered again.
 * @param {App | undefined} before
 * @param {AppStatus} row
 * @param {number} seq
 * @returns {App}
 */
function updated(before, row, seq) {
  if (before && !before.stale && before.seq === seq && contains(before, row)) return before
  return { ...row, seq, stale: false }
}

/** @param {App} app @param {AppStatus} row */
const contains = (app, row) =>
  Object.entries(row).every(([key, value]) => {
    const known = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (app))[key]
    return known === value || (typeof value === 'object' && isDeepEqual(known, value))
  })

/** @param {any} a @param {any} b @returns {boolean} */
export function isDeepEqual(a, b) {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = Object.keys(b)
  return keys.length === Object.keys(a).length && keys.every((key) => isDeepEqual(a[key], b[key]))
}

/** @param {{ operation_id: unknown } | undefined} a @param {{ operation_id: unknown }} b */
const isSameOperation = (a, b) => a !== undefined && String(a.operation_id) === String(b.operation_id)

/** @param {State} state @param {Extract<Message, { type: 'app' }>} message @returns {State} */
export function applyEvent(state, { id, event, receivedAt, fresh }) {
  const at = parseId(id)
  // Ignores known events, because the server may replay events after a reconnect.
  if (at.epoch === state.epoch && at.seq <= state.seq) return state
  const name = event.name ?? event.app
  const before = own(state.apps, name)
  const apps =
    event.to_status === null
      ? without(state.apps, name)
      : { ...state.apps, [name]: applyTransition(before, event, at.seq) }
  const liveRegions =
    event.to_status === null
      ? announce(state.liveRegions, { app: name, text: `${event.display_name}: removed` }, false)
      : announceStatus(state.liveRegions, { ...event, name, status: event.to_status })
  const measured = updateSkew(state, measureSkew(state.skew, event.at, receivedAt, fresh))
  return applyEarlyStatus({ ...measured, ...at, apps, liveRegions })
}

/**
 * Returns an app after a change of its status. Events lack the controls (which buttons are enabled), so the
 * former controls stay until the next response of GET /api/status.
 * @param {App | undefined} before
 * @param {AppEvent} event
 * @param {number} seq
 * @returns {App}
 */
function applyTransition(before, event, seq) {
  const { seq: _seq, app, from_status, to_status, at, actor: _actor, origin: _origin, ...row } = event
  const base = isSameOperation(before, event)
    ? before
    : { controls: before?.controls ?? {}, required_by: before?.required_by ?? [], protocol: before?.protocol }
  return {
    ...base,
    ...row,
    name: row.name ?? app,
    status: to_status ?? row.status,
    status_since: before && from_status === to_status ? before.status_since : at,
    cause: event.cause ?? null,
    deadline: null,
    usual: null,
    queue_position: null,
    stale: true,
    seq,
    step_seconds: isSameOperation(before, event) ? stepSeconds(before, from_status, at) : {},
  }
}

/**
 * Returns the duration in seconds of each finished status of the present operation.
 * @param {App | undefined} before
 * @param {Status | null} ended status that the event ended
 * @param {string} at time of the event
 */
function stepSeconds(before, ended, at) {
  if (!before || ended === null || ended !== before.status) return before?.step_seconds ?? {}
  return { ...before.step_seconds, [ended]: (Date.parse(at) - Date.parse(before.status_since)) / 1000 }
}

/**
 * Handles the event `reset`, after which a snapshot follows. Clears the epoch (id of the history) and the
 * event number, because the snapshot may have another epoch or a lower number.
 * @param {State} state
 * @returns {State}
 */
export function markAllStale(state) {
  const apps = Object.entries(state.apps).map(([name, app]) => [name, { ...app, stale: true }])
  return { ...state, epoch: null, seq: 0, earlyStatus: null, apps: Object.fromEntries(apps) }
}

/** Smallest change of the clock skew in ms that is applied. Smaller changes may be network delay. */
const SKEW_STEP_MS = 2000

/** @param {State} state @param {number} skew @returns {State} */
export const updateSkew = (state, skew) =>
  Math.abs(skew - state.skew) < SKEW_STEP_MS ? state : { ...state, skew }

/**
 * Returns the number of ms by which the browser's clock is ahead of the server's clock.
 *
 * A fresh message arrives right after its time `at`, so the difference is the skew. The delay of an older
 * message is unknown, so the difference is only an upper limit of the skew.
 * @param {number} skew
 * @param {string} at
 * @param {number} receivedAt
 * @param {boolean} fresh
 */
export function measureSkew(skew, at, receivedAt, fresh) {
  const measured = receivedAt - Date.parse(at)
  if (!Number.isFinite(measured)) return skew
  return fresh ? measured : Math.min(skew, measured)
}

/** @param {State} state @param {AppStatus[]} list @param {number} receivedAt */
const skewOf = (state, list, receivedAt) =>
  list.reduce((least, row) => measureSkew(least, row.status_since, receivedAt, false), state.skew)

/** Upper limit of failures that are announced to screen readers at the same time. */
const MAX_URGENT = 12

/** @param {LiveRegions} before @param {Pick<App, 'name' | 'display_name' | 'status' | 'cause'>} app */
function announceStatus(before, app) {
  const { name, display_name, status, cause } = app
  const reason = needsAttention(status) && cause ? `. ${cause.message}` : ''
  const text = `${display_name}: ${LABELS[status]}${reason}`
  return announce(before, { app: name, text }, needsAttention(status) && !isCancelled(app))
}

/**
 * Adds a text to the ARIA live regions for screen readers. An urgent text stays until the next event of the
 * same app.
 * @param {LiveRegions} before
 * @param {Announcement} announcement
 * @param {boolean} isUrgent
 * @returns {LiveRegions}
 */
function announce({ polite, urgent }, announcement, isUrgent) {
  const others = urgent.filter(({ app }) => app !== announcement.app)
  if (!isUrgent) return { polite: announcement, urgent: others }
  const rest = polite.app === announcement.app ? { app: '', text: '' } : polite
  return { polite: rest, urgent: [...others, announcement].slice(-MAX_URGENT) }
}
