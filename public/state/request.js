/** Reducer functions for the operations that the user requested, and for the dialog before an install. */

import { isDeepEqual } from './app.js'
import { own, without } from './record.js'

/** @import { App, Message, Operation, Pending, Refusal, State } from '../types.js' */

/** @param {State} state @param {Message} message @returns {State} */
export function reduceRequest(state, message) {
  switch (message.type) {
    case 'requested': {
      const { app, action } = message
      const pending = { ...state.pending, [app]: { action, seq: state.seq, operationId: null } }
      return { ...state, pending, refusals: without(state.refusals, app) }
    }
    case 'accepted':
      return accept(state, message.app, message.operation)
    case 'refused': {
      const { app, action, problem } = message
      const refusals = { ...state.refusals, [app]: { action, problem } }
      return { ...state, pending: without(state.pending, app), refusals }
    }
    case 'dismiss':
      return { ...state, refusals: without(state.refusals, message.app) }
    default:
      return reducePlan(state, message)
  }
}

/** @param {State} state @param {Message} message @returns {State} */
function reducePlan(state, message) {
  const { planDialog } = state
  switch (message.type) {
    case 'plan-open': {
      const { app, plan } = message
      return {
        ...state,
        pending: without(state.pending, app),
        planDialog: { app, plan, choices: {}, problem: null },
      }
    }
    case 'plan-choose': {
      if (!planDialog) return state
      return {
        ...state,
        planDialog: { ...planDialog, choices: { ...planDialog.choices, [message.slot]: message.apps } },
      }
    }
    case 'plan':
      // Ignores the plan if the user has changed the choices since the request.
      return planDialog?.app === message.app && planDialog.choices === message.choices
        ? {
            ...state,
            planDialog: { ...planDialog, plan: message.plan ?? planDialog.plan, problem: message.problem },
          }
        : state
    case 'rollback-plan':
      return isDeepEqual(state.rollback, message.plan) ? state : { ...state, rollback: message.plan }
    case 'plan-close':
      return { ...state, planDialog: null }
    default:
      return state
  }
}

/** @param {State} state @param {string} name @param {Operation} operation @returns {State} */
function accept(state, name, operation) {
  const pending = own(state.pending, name)
  if (!pending) return state
  const known = { ...pending, operationId: String(operation.id) }
  const next = { ...state, pending: { ...state.pending, [name]: known } }
  // If an event arrived before the response, the apps may already show the effect of the request.
  return state.seq > pending.seq ? releaseAnswered(next) : next
}

/**
 * Codes of refusals that are over when the agent and its database answer again. A gateway between page and
 * agent sends no code. The others are the codes with a Retry-After (src/http/problem.ts).
 */
const TEMPORARY = [
  undefined,
  'unreachable',
  'database_unavailable',
  'database_read_only',
  'too_many_clients',
  'too_many_requests',
]

/** @param {Refusal} refusal */
const isTemporary = ({ problem }) => TEMPORARY.includes(problem.code)

/** @param {State} state @param {(refusal: Refusal, app: string) => boolean} stays @returns {State} */
function keepRefusals(state, stays) {
  const entries = Object.entries(state.refusals)
  const kept = entries.filter(([app, refusal]) => stays(refusal, app))
  return kept.length === entries.length ? state : { ...state, refusals: Object.fromEntries(kept) }
}

/** Removes refusals that ended with the interruption of the connection. @param {State} state */
export const endTemporaryRefusals = (state) => keepRefusals(state, (refusal) => !isTemporary(refusal))

/**
 * Removes temporary refusals at the second heartbeat after them (15 to 30 s), so that there is time to read
 * a refusal that arrived after the connection was back.
 * @param {State} state
 * @returns {State}
 */
export function ageRefusals(state) {
  const young = keepRefusals(state, (refusal) => !(isTemporary(refusal) && refusal.hasAged))
  const entries = Object.entries(young.refusals)
  if (entries.every(([, { hasAged }]) => hasAged)) return young
  const refusals = Object.fromEntries(entries.map(([app, refusal]) => [app, { ...refusal, hasAged: true }]))
  return { ...young, refusals }
}

/**
 * Removes the refusals of actions that the database has begun to allow.
 * @param {State} before
 * @param {State} state
 */
export function endAllowedRefusals(before, state) {
  /** @param {State} at @param {string} app @param {Refusal} refusal */
  const control = (at, app, { action }) => own(at.apps, app)?.controls?.[action]
  return keepRefusals(
    state,
    (refusal, app) =>
      control(before, app, refusal)?.allowed !== false || !control(state, app, refusal)?.allowed,
  )
}

/** Removes the pending requests whose effect the apps already show. @param {State} state @returns {State} */
export function releaseAnswered(state) {
  const entries = Object.entries(state.pending)
  const open = entries.filter(([name, pending]) => !isAnswered(pending, own(state.apps, name), state.apps))
  return open.length === entries.length ? state : { ...state, pending: Object.fromEntries(open) }
}

/**
 * Removes the refusal of an app after an event of the app, and the pending requests that the event answers.
 * @param {State} state
 * @param {string} name
 * @param {boolean} uninstalled true if the event removed the app
 * @returns {State}
 */
export function applyEventToRequests(state, name, uninstalled) {
  const next = { ...state, refusals: without(state.refusals, name) }
  return uninstalled ? { ...next, pending: without(next.pending, name) } : releaseAnswered(next)
}

/**
 * Returns true if the apps show the effect of a pending request: for a cancel the end of the operation, for a
 * rollback an operation with a higher id, because a rollback adds an operation for each changed app.
 * @param {Pending} pending
 * @param {App | undefined} app
 * @param {Record<string, App>} apps
 */
function isAnswered(pending, app, apps) {
  const { operationId } = pending
  if (operationId === null) return false
  if (pending.action === 'rollback')
    return Object.values(apps).some(({ operation_id }) => Number(operation_id) > Number(operationId))
  if (!app) return pending.action !== 'install' && pending.action !== 'retry'
  if (String(app.operation_id) !== pending.operationId) return pending.action === 'cancel'
  if (pending.action !== 'cancel') return true
  const over = app.operation_state ? !['queued', 'active'].includes(app.operation_state) : false
  return over || ['failed', 'stopped', 'running', 'error'].includes(app.status)
}
