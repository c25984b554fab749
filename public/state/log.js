/**
 * Reducer functions for the log that the page displays.
 *
 * The page displays one log at a time, because a browser opens at most six HTTP/1.1 connections to a host.
 */
import { own } from './record.js'
import { inFlight } from './status.js'

/** @import { App, LogLine, State } from '../types.js' */

/** Upper limit of log lines in memory. A link downloads the whole log. */
export const MAX_LINES = 50_000

/** Statuses in which a rebuild (one change of the machine for all queued operations) may be in progress. */
const REBUILDING = ['configuring', 'building', 'stopping']

/**
 * @param {string} app
 * @param {string} operationId
 * @param {boolean} auto
 * @returns {NonNullable<State['log']>}
 */
const emptyLog = (app, operationId, auto) => ({ app, operationId, auto, lines: [], dropped: 0, ended: false })

/**
 * Opens the log of the rebuild in progress, and closes the log after the rebuild. If the URL contains an
 * operation, only the log of that operation opens.
 * @param {State} state
 * @returns {State}
 */
export function followRebuild(state) {
  const { log, apps, route } = state
  if (route.app !== null && route.operationId !== null) {
    if (log?.operationId === route.operationId) return state
    return { ...state, log: emptyLog(route.app, route.operationId, false) }
  }
  const shown = log ? own(apps, log.app) : undefined
  if (log && shown && (!log.auto || isInProgress(log, shown))) return state
  const busy = Object.values(apps).find((app) => isRebuilding(app, state))
  if (busy) return { ...state, log: emptyLog(busy.name, String(busy.operation_id), true) }
  return log ? { ...state, log: null } : state
}

/** @param {App} app @param {State} state */
const isRebuilding = (app, { route, logClosed }) =>
  app.operation_id !== null &&
  REBUILDING.includes(app.status) &&
  String(app.operation_id) !== logClosed &&
  (route.app === null || route.app === app.name)

/** @param {NonNullable<State['log']>} log @param {App} app */
const isInProgress = (log, app) => inFlight(app.status) && String(app.operation_id) === log.operationId

/** @param {State} state @param {string} name @returns {State} */
export function openLog(state, name) {
  const operationId = own(state.apps, name)?.operation_id
  if (operationId === null || operationId === undefined) return state
  return { ...state, log: emptyLog(name, String(operationId), false), logClosed: null }
}

/** @param {State} state @returns {State} */
export const closeLog = (state) => ({
  ...state,
  log: null,
  logClosed: state.log?.operationId ?? state.logClosed,
})

/**
 * Adds log lines. Known lines are skipped, because a reconnect may deliver lines again.
 * @param {State} state
 * @param {string} operationId
 * @param {LogLine[]} lines
 * @returns {State}
 */
export function addLines(state, operationId, lines) {
  const { log } = state
  if (!log || log.operationId !== operationId) return state
  const last = log.lines.at(-1)?.line_no ?? Number.NEGATIVE_INFINITY
  const all = log.lines.concat(lines.filter((line) => line.line_no > last))
  const excess = Math.max(0, all.length - MAX_LINES)
  return { ...state, log: { ...log, lines: all.slice(excess), dropped: log.dropped + excess } }
}

/** @param {State} state @param {string} operationId @returns {State} */
export function endLog(state, operationId) {
  return state.log?.operationId === operationId ? { ...state, log: { ...state.log, ended: true } } : state
}
