/** What was asked of the agent and not answered yet. Pure; part of the reducer. */

import { isAlike } from './app.js'

/** @import { App, Message, Operation, Pending, State } from '../types.js' */

/** @param {State} state @param {Message} message @returns {State} */
export function reduceRequest(state, message) {
  switch (message.type) {
    case 'pressed': {
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

/** What would happen, asked before it does. @param {State} state @param {Message} message
 *  @returns {State} */
function reducePlan(state, message) {
  const { asking } = state
  switch (message.type) {
    case 'plan-open': {
      const { app, plan } = message
      return {
        ...state,
        pending: without(state.pending, app),
        asking: { app, plan, choices: {}, problem: null },
      }
    }
    case 'plan-choose': {
      if (!asking) return state
      return { ...state, asking: { ...asking, choices: { ...asking.choices, [message.slot]: message.apps } } }
    }
    case 'plan':
      // Only the answer to the choices that are made now.
      return asking?.app === message.app && asking.choices === message.choices
        ? { ...state, asking: { ...asking, plan: message.plan ?? asking.plan, problem: message.problem } }
        : state
    case 'rollback-plan':
      return isAlike(state.rollback, message.plan) ? state : { ...state, rollback: message.plan }
    case 'plan-close':
      return { ...state, asking: null }
    default:
      return state
  }
}

/** @param {State} state @param {string} name @param {Operation} operation @returns {State} */
function accept(state, name, operation) {
  const pending = state.pending[name]
  if (!pending) return state
  const known = { ...pending, operationId: String(operation.id) }
  const next = { ...state, pending: { ...state.pending, [name]: known } }
  // Its event may have been faster than the answer to the request.
  return state.seq > pending.seq ? release(next) : next
}

/** Lets go of what is answered by what the apps are now. @param {State} state @returns {State} */
export function release(state) {
  const entries = Object.entries(state.pending)
  const kept = entries.filter(([name, pending]) => !isAnswered(pending, state.apps[name], state.apps))
  return kept.length === entries.length ? state : { ...state, pending: Object.fromEntries(kept) }
}

/** An event of the app answers whatever was refused before; its end answers everything.
 *  @param {State} state @param {string} name @param {boolean} gone @returns {State} */
export function answered(state, name, gone) {
  const next = { ...state, refusals: without(state.refusals, name) }
  return gone ? { ...next, pending: without(next.pending, name) } : release(next)
}

/** The operation of this request is what the app shows now. A cancel is answered when the work is really gone.
 *  A rollback is answered by any app that moves for it: their operations are numbered after it.
 *  @param {Pending} pending @param {App | undefined} app @param {Record<string, App>} apps */
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

/** @template T @param {Record<string, T>} record @param {string} key @returns {Record<string, T>} */
function without(record, key) {
  if (!(key in record)) return record
  const { [key]: _gone, ...rest } = record
  return rest
}
