/** Functions for the buttons of the page, which send requests to the agent and messages to the reducer. */
import { own } from '../state/record.js'
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
      if (own(getState().pending, app)) return
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
      if (own(getState().pending, app)) return
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
      if (!planDialog || own(pending, planDialog.app)) return
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
        // Ignores a failure: the former rows stay, and the next visit to the app repeats the request.
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
   * Requests an operation (install, uninstall …) from the agent, and dispatches `accepted` or `refused`.
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
      // The catalog or the installed apps have changed since the plan was read, so a choice is missing now.
      if (problem.code === 'choice_needed') await openPlan(app, false)
    }
    refreshStatus(0)
  }

  /**
   * Reads the plan of an install. Installs the app if the plan needs no decision, else opens the plan dialog.
   * @param {string} app
   * @param {boolean} mayInstall false opens the plan dialog in any case
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

  /** @param {string} app @param {Choices} choices */
  async function updatePlan(app, choices) {
    try {
      dispatch({ type: 'plan', app, choices, plan: await getPlan(app, choices), problem: null })
    } catch (error) {
      dispatch({ type: 'plan', app, choices, plan: null, problem: problemOf(error) })
    }
  }

  return { send, openPlan, updatePlan }
}

/** @param {Plan} plan */
const needsDecision = (plan) =>
  plan.installs.length > 1 ||
  plan.choices.some(({ chosen, available }) => chosen === null && available.length > 0)
