/** What a person at the page can do. */
import { act, getCatalog, getHistory, getPlan, getRollbackPlan, problemOf } from './api.js'

/** @import { Verb, Choices, Message, Plan, State, Actions } from '../types.js' */

/**
 * @typedef {object} Options
 * @property {(message: Message) => void} dispatch
 * @property {() => State} look
 * @property {(delay?: number) => void} refetch
 * @property {(path: string) => void} go
 */

/** Something is brought along, or somebody has to choose. @param {Plan} plan */
const needsAnswer = (plan) =>
  plan.installs.length > 1 ||
  plan.choices.some(({ chosen, available }) => chosen === null && available.length > 0)

/** @param {Options} options @returns {Actions} */
export function createActions({ dispatch, look, refetch, go }) {
  /** @param {string} app @param {Verb} action @param {object} [body] */
  async function send(app, action, body) {
    try {
      dispatch({ type: 'accepted', app, action, operation: await act(app, action, body) })
    } catch (error) {
      const problem = problemOf(error)
      dispatch({ type: 'refused', app, action, problem })
      // It has become a question meanwhile.
      if (problem.code === 'choice_needed') await ask(app, false)
    }
    refetch(0)
  }

  /** @param {string} app @param {boolean} mayGoOn install at once if there is nothing to ask */
  async function ask(app, mayGoOn) {
    let plan
    try {
      plan = await getPlan(app, {})
    } catch (error) {
      dispatch({ type: 'refused', app, action: 'install', problem: problemOf(error) })
      return
    }
    if (!mayGoOn || needsAnswer(plan)) dispatch({ type: 'plan-open', app, plan })
    else await send(app, 'install')
  }

  /** @param {string} app @param {Choices} choices */
  async function replan(app, choices) {
    try {
      dispatch({ type: 'plan', app, choices, plan: await getPlan(app, choices), problem: null })
    } catch (error) {
      dispatch({ type: 'plan', app, choices, plan: null, problem: problemOf(error) })
    }
  }

  return {
    act(app, action) {
      if (look().pending[app]) return
      dispatch({ type: 'pressed', app, action })
      void (action === 'install' ? ask(app, true) : send(app, action))
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
      if (look().pending[app]) return
      // Pressed until an app moves; where none will, there is nothing to wait for.
      if (turns_off.length + turns_on.length > 0) dispatch({ type: 'pressed', app, action: 'rollback' })
      void send(app, 'rollback')
    },
    choose(slot, apps) {
      dispatch({ type: 'plan-choose', slot, apps })
      const { asking } = look()
      if (asking) void replan(asking.app, asking.choices)
    },
    confirmPlan() {
      const { asking, pending } = look()
      dispatch({ type: 'plan-close' })
      if (!asking || pending[asking.app]) return
      dispatch({ type: 'pressed', app: asking.app, action: 'install' })
      void send(asking.app, 'install', { choices: asking.choices })
    },
    closePlan: () => dispatch({ type: 'plan-close' }),
    dismiss: (app) => dispatch({ type: 'dismiss', app }),
    openLog: (app) => dispatch({ type: 'log-open', app }),
    closeLog: () => dispatch({ type: 'log-close' }),
    loadHistory(app) {
      getHistory(app).then(
        (rows) => dispatch({ type: 'history', app, rows }),
        // It is shown as far as it is known; the next look asks again.
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
    go,
  }
}
