/** Actions of the user, which send requests to the agent or dispatch messages to the reducer. */
import { callVerb, getCatalog, getHistory, getPlan, getRollbackPlan, problemOf } from './api.js'

/** @import { Verb, Choices, Message, Plan, State, Actions } from '../types.js' */

/** @typedef {(message: Message) => void} Dispatch */

/**
 * @typedef {object} Options
 * @property {Dispatch} dispatch
 * @property {() => State} getState
 * @property {(delay?: number) => void} refreshStatus
 * @property {(path: string) => void} navigate
 */

/** @param {Options} options @returns {Actions} */
export function createActions({ dispatch, getState, refreshStatus, navigate }) {
  const { send, openPlan, updatePlan } = createRequests(dispatch, refreshStatus)
  return {
    request(app, action) {
      if (getState().pending[app]) return
      dispatch({ type: 'requested', app, action })
      void (action === 'install' ? openPlan(app, true) : send(app, action))
    },
    async planRollback(app) {
      try {
        const plan = await getRollbackPlan()
        dispatch({ type: 'rollback-plan', plan })
        return plan
      } catch (error) {
        dispatch({ type: 'refused', app, action: 'rollback', problem: problemOf(error) })
        return null
      }
    },
    rollback(app, { turns_off, turns_on }) {
      if (getState().pending[app]) return
      // If no app stops or starts, the rollback is not marked as pending, because no event would end the
      // pending state.
      if (turns_off.length + turns_on.length > 0) dispatch({ type: 'requested', app, action: 'rollback' })
      void send(app, 'rollback')
    },
    choose(slot, apps) {
      dispatch({ type: 'plan-choose', slot, apps })
      const { planDialog } = getState()
      if (planDialog) void updatePlan(planDialog.app, planDialog.choices)
    },
    confirmPlan() {
      const { planDialog, pending } = getState()
      dispatch({ type: 'plan-close' })
      if (!planDialog || pending[planDialog.app]) return
      dispatch({ type: 'requested', app: planDialog.app, action: 'install' })
      void send(planDialog.app, 'install', { choices: planDialog.choices })
    },
    closePlan: () => dispatch({ type: 'plan-close' }),
    dismiss: (app) => dispatch({ type: 'dismiss', app }),
    openLog: (app) => dispatch({ type: 'log-open', app }),
    closeLog: () => dispatch({ type: 'log-close' }),
    loadHistory(app) {
      getHistory(app).then(
        (rows) => dispatch({ type: 'history', app, rows }),
        // Keeps the former rows after a failure. The next visit to the page of the app repeats the request.
        () => {},
      )
    },
    async reloadCatalog() {
      try {
        dispatch({ type: 'catalog', entries: await getCatalog() })
      } catch (error) {
        dispatch({ type: 'catalog-failed', problem: problemOf(error) })
      }
    },
    navigate,
  }
}

/** @param {Dispatch} dispatch @param {Options['refreshStatus']} refreshStatus */
function createRequests(dispatch, refreshStatus) {
  /**
   * Sends a verb (install, uninstall …) of an app to the agent. Dispatches `accepted` or `refused`.
   * @param {string} app
   * @param {Verb} action
   * @param {object} [body]
   */
  async function send(app, action, body) {
    try {
      dispatch({ type: 'accepted', app, action, operation: await callVerb(app, action, body) })
    } catch (error) {
      const problem = problemOf(error)
      dispatch({ type: 'refused', app, action, problem })
      // The catalog has changed, and the install now needs a choice of the user.
      if (problem.code === 'choice_needed') await openPlan(app, false)
    }
    refreshStatus(0)
  }

  /**
   * Reads the plan of an install, and installs the app or opens the plan dialog.
   * @param {string} app
   * @param {boolean} mayInstall true if the app is installed at once when the plan needs no decision
   */
  async function openPlan(app, mayInstall) {
    let plan
    try {
      plan = await getPlan(app, {})
    } catch (error) {
      dispatch({ type: 'refused', app, action: 'install', problem: problemOf(error) })
      return
    }
    if (!mayInstall || needsDecision(plan)) dispatch({ type: 'plan-open', app, plan })
    else await send(app, 'install')
  }

  /**
   * Reads the plan of an install again after the user changed a choice.
   * @param {string} app
   * @param {Choices} choices
   */
  async function updatePlan(app, choices) {
    try {
      dispatch({ type: 'plan', app, choices, plan: await getPlan(app, choices), problem: null })
    } catch (error) {
      dispatch({ type: 'plan', app, choices, plan: null, problem: problemOf(error) })
    }
  }

  return { send, openPlan, updatePlan }
}

/** Returns true if the plan installs other apps too or needs a choice of the user. @param {Plan} plan */
const needsDecision = (plan) =>
  plan.installs.length > 1 ||
  plan.choices.some(({ chosen, available }) => chosen === null && available.length > 0)
