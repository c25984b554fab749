/**
 * Builds the first state of the page from the facts (JSON in the HTML). Server and browser must build the
 * same state, because Preact can hydrate only equal HTML.
 */
import { parseRoute } from './route.js'
import { initialState, reduce } from './store.js'

/** @import { AppStatus, CatalogEntry, HistoryRow, State } from '../types.js' */

/**
 * @typedef {object} Facts
 * @property {string} path
 * @property {string} hostname
 * @property {{ id: string, apps: AppStatus[] }} [status]
 * @property {CatalogEntry[]} [catalog]
 * @property {{ app: string, rows: HistoryRow[] }} [history]
 */

/** @param {Facts} facts @param {number} now time of the browser or server in ms @returns {State} */
export function initialStateFrom({ path, hostname, status, catalog, history }, now) {
  let state = { ...initialState, hostname }
  if (catalog) state = reduce(state, { type: 'catalog', entries: catalog })
  if (status) state = reduce(state, { type: 'snapshot', ...status, receivedAt: now })
  if (history) state = reduce(state, { type: 'history', ...history })
  return reduce(state, { type: 'navigate', route: parseRoute(path) })
}
