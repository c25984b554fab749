/**
 * Reducer of the page: returns the next state from a state and a message.
 *
 * The database decides which status an app has and which requests are allowed. The page only displays both.
 */

import { applyEvent, applySnapshot, applyStatus, markAllStale, measureSkew, updateSkew } from './app.js'
import { addEvent, applyHistory } from './history.js'
import { addLines, closeLog, endLog, followRebuild, openLog } from './log.js'
import {
  ageRefusals,
  applyEventToRequests,
  endAllowedRefusals,
  endTemporaryRefusals,
  reduceRequest,
  releaseAnswered,
} from './request.js'
import { HOME } from './route.js'

/** @import { Message, ReadinessCause, State } from '../types.js' */

/** @type {State} */
export const initialState = {
  connection: 'connecting',
  staleSince: null,
  causes: [],
  loaded: false,
  epoch: null,
  seq: 0,
  earlyStatus: null,
  skew: 0,
  route: HOME,
  hostname: '',
  apps: {},
  histories: {},
  catalog: null,
  catalogProblem: null,
  pending: {},
  refusals: {},
  planDialog: null,
  rollback: null,
  log: null,
  logClosed: null,
  liveRegions: { polite: { app: '', text: '' }, urgent: [] },
}

/** @param {State} state @param {Message} message @returns {State} */
export function reduce(state, message) {
  switch (message.type) {
    case 'snapshot':
      return reduceApps(state, applySnapshot(state, message))
    case 'status':
      return reduceApps(state, applyStatus(state, message))
    case 'app':
      return reduceEvent(state, message)
    case 'reset':
      return markAllStale(state)
    case 'heartbeat':
      return ageRefusals(updateSkew(state, measureSkew(state.skew, message.at, message.receivedAt, true)))
    case 'stale':
      return { ...state, connection: 'stale', staleSince: message.since }
    case 'readiness':
      return reduceReadiness(state, message.causes)
    case 'connection':
      return reduceConnection(state, message)
    case 'catalog':
      return { ...state, catalog: message.entries, catalogProblem: null }
    case 'catalog-failed':
      return { ...state, catalogProblem: message.problem }
    case 'history':
      return applyHistory(state, message)
    case 'navigate':
      return followRebuild({ ...state, route: message.route, log: null, logClosed: null })
    default:
      return reduceRequest(reduceLog(state, message), message)
  }
}

/** @param {State} before @param {State} state state with the new status of the apps @returns {State} */
const reduceApps = (before, state) => followRebuild(releaseAnswered(endAllowedRefusals(before, state)))

/** @param {State} state @param {Extract<Message, { type: 'app' }>} message @returns {State} */
function reduceEvent(state, message) {
  const next = applyEvent(state, message)
  if (next === state) return state
  const { event } = message
  const name = event.name ?? event.app
  return followRebuild(applyEventToRequests(addEvent(next, event), name, event.to_status === null))
}

/**
 * Returns the same state if no sentence has changed, so that the page is not rendered again.
 * @param {State} state @param {ReadinessCause[]} causes @returns {State}
 */
function reduceReadiness(state, causes) {
  const textOf = (/** @type {ReadinessCause[]} */ list) => list.map(({ sentence }) => sentence).join('\n')
  return textOf(causes) === textOf(state.causes) ? state : { ...state, causes }
}

/** @param {State} state @param {Extract<Message, { type: 'connection' }>} message @returns {State} */
function reduceConnection(state, { state: connection, since = null }) {
  const staleSince = connection === 'reconnecting' ? since : null
  if (state.connection === connection && state.staleSince === staleSince) return state
  const isBack = connection === 'live' || connection === 'polling'
  return { ...(isBack ? endTemporaryRefusals(state) : state), connection, staleSince }
}

/** @param {State} state @param {Message} message @returns {State} */
function reduceLog(state, message) {
  switch (message.type) {
    case 'log-open':
      return openLog(state, message.app)
    case 'log-close':
      return closeLog(state)
    case 'log-lines':
      return addLines(state, message.operationId, message.lines)
    case 'log-end':
      return endLog(state, message.operationId)
    default:
      return state
  }
}
