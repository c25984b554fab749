/** Renders the page to HTML on the server. The browser never loads this file. */
import { renderToString } from 'preact-render-to-string'
import { initialStateFrom } from './state/initial.js'
import { own } from './state/record.js'
import { titleOf } from './state/text.js'
import { html } from './views/html.js'
import { Page } from './views/page.js'

/** @import { Facts } from './state/initial.js' */
/** @import { Actions, State } from './types.js' */

const ignore = () => {}
/** Actions that do nothing, because the server handles no clicks. @type {Actions} */
const NO_ACTIONS = {
  request: ignore,
  planRollback: () => new Promise(ignore),
  rollback: ignore,
  confirmPlan: ignore,
  choose: ignore,
  closePlan: ignore,
  dismiss: ignore,
  openLog: ignore,
  closeLog: ignore,
  loadHistory: ignore,
  reloadCatalog: ignore,
  navigate: ignore,
}

/**
 * Returns the title and the HTML of the page. `known` is false if the URL names an app that does not exist.
 * @param {Facts} facts
 * @returns {{ title: string, body: string, known: boolean }}
 */
export function renderPage(facts) {
  const state = initialStateFrom(facts, Date.now())
  const { app } = state.route
  const known =
    app === null ||
    !state.loaded ||
    own(state.apps, app) !== undefined ||
    Boolean(state.catalog?.some(({ name }) => name === app))
  return { ...renderState(state), known }
}

/** @param {State} state */
export function renderState(state) {
  return {
    title: titleOf(state),
    body: renderToString(html`<${Page} state=${state} actions=${NO_ACTIONS} />`),
  }
}
