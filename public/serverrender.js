/** The page as the server draws it. The browser never loads this file. */
import { renderToString } from 'preact-render-to-string'
import { initialStateFrom } from './state/initial.js'
import { titleOf } from './state/text.js'
import { html } from './views/html.js'
import { Page } from './views/page.js'

/** @import { Facts } from './state/initial.js' */
/** @import { Actions } from './types.js' */

const nothing = () => {}
/** Nobody presses anything here. @type {Actions} */
const NO_VERBS = {
  act: nothing,
  planRollback: () => new Promise(nothing),
  rollback: nothing,
  confirmPlan: nothing,
  choose: nothing,
  closePlan: nothing,
  dismiss: nothing,
  openLog: nothing,
  closeLog: nothing,
  loadHistory: nothing,
  reloadCatalog: nothing,
  go: nothing,
}

/** @param {Facts} facts @returns {{ title: string, body: string, known: boolean }} `known`: there is such a page. */
export function draw(facts) {
  const state = initialStateFrom(facts, Date.now())
  const { app } = state.route
  const known =
    app === null ||
    !state.loaded ||
    app in state.apps ||
    Boolean(state.catalog?.some(({ name }) => name === app))
  const body = renderToString(html`<${Page} state=${state} verbs=${NO_VERBS} />`)
  return { title: titleOf(state), body, known }
}
