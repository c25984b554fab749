/**
 * Entry point of the web page in the browser. For each message (event of the agent, response or click) the
 * reducer returns a new state, and the views render the state.
 */
import { hydrate, render } from 'preact'
import { createActions } from './net/actions.js'
import { getRollbackPlan, getStatus } from './net/api.js'
import { createLogFollower } from './net/logstream.js'
import { createReadinessPoll } from './net/readiness.js'
import { createStatusRefresh } from './net/statusrefresh.js'
import { createStream } from './net/stream.js'
import { createTabs } from './net/tabs.js'
import { initialStateFrom } from './state/initial.js'
import { own } from './state/record.js'
import { isPagePath, parseRoute } from './state/route.js'
import { inFlight } from './state/status.js'
import { reduce } from './state/store.js'
import { titleOf } from './state/text.js'
import { html } from './views/html.js'
import { Page } from './views/page.js'
import { createRenderScheduler } from './views/renderscheduler.js'

/** @import { Message } from './types.js' */

/** Age of the catalog in ms above which the catalog is loaded again when the page becomes visible. */
const CATALOG_AGE_MS = 10 * 60 * 1000

const root = /** @type {HTMLElement} */ (document.getElementById('app'))
const facts = JSON.parse(document.getElementById('facts')?.textContent ?? '{}')
let state = initialStateFrom({ path: location.pathname, ...facts, hostname: location.hostname }, Date.now())

/** @param {Message} message */
function dispatch(message) {
  const app = message.type === 'app' ? message.event.app : undefined
  if (app) scheduler.beforeChange(app)
  const before = state
  state = reduce(before, message)
  if (state === before) return
  logs.sync()
  scheduler.schedule(app)
}

/** `hydrate` adopts the HTML from the server in the first render. All later renders use `render`. */
let renderTree = root.firstChild ? hydrate : render
const scheduler = createRenderScheduler(() => {
  renderTree(html`<${Page} state=${state} actions=${actions} />`, root)
  renderTree = render
  const title = titleOf(state)
  if (document.title !== title) document.title = title
})

const tabs = createTabs({ visible: () => !document.hidden, onChange: () => syncConnections() })
const logs = createLogFollower({
  wanted: () => (state.log && !state.log.ended && !document.hidden ? state.log.operationId : null),
  polls: () => state.connection === 'polling' || !tabs.mayStream(),
  onMessage: dispatch,
})
const refreshStatus = createStatusRefresh(async () => {
  dispatch({ type: 'status', ...(await getStatus()), receivedAt: Date.now() })
  // One rollback plan serves all unhealthy apps, because a rollback concerns the whole machine.
  if (hasUnhealthyApp()) dispatch({ type: 'rollback-plan', plan: await getRollbackPlan() })
})
const hasUnhealthyApp = () => Object.values(state.apps).some(({ status }) => status === 'error')
const actions = createActions({
  dispatch,
  getState: () => state,
  refreshStatus,
  navigate(path) {
    history.pushState(null, '', path)
    applyAddress()
    scrollTo(0, 0)
  },
})

const stream = createStream({
  onMessage(message) {
    const wasLive = state.connection === 'live'
    dispatch(message)
    if (message.type === 'app' || message.type === 'refresh') refreshStatus()
    // Values such as the deadline of an operation can change without an event. Therefore each heartbeat
    // refreshes the status while an operation is in progress.
    if (message.type === 'heartbeat' && Object.values(state.apps).some((app) => inFlight(app.status)))
      refreshStatus()
    // Loads the catalog if the first request failed, for example because the agent was unreachable.
    if (message.type === 'connection' && message.state === 'live' && !wasLive && !state.catalog)
      actions.reloadCatalog()
  },
  wakeTargets: [document, window],
  mayStream: () => tabs.mayStream(),
  visible: () => !document.hidden,
})

const readiness = createReadinessPoll({
  visible: () => !document.hidden,
  onCauses: (causes) => dispatch({ type: 'readiness', causes }),
})

function applyAddress() {
  const route = parseRoute(location.pathname)
  dispatch({ type: 'navigate', route })
  if (route.app) actions.loadHistory(route.app)
}

function syncConnections() {
  stream.sync()
  logs.sync()
}

let catalogAt = Date.now()
document.addEventListener('visibilitychange', () => {
  tabs.announce()
  syncConnections()
  void readiness.poll()
  if (document.hidden || Date.now() - catalogAt < CATALOG_AGE_MS) return
  catalogAt = Date.now()
  actions.reloadCatalog()
})
/** Opens links without a page load. A click with a modifier key is left to the browser (new tab). */
root.addEventListener('click', (event) => {
  const link = /** @type {Element} */ (event.target).closest('a[href]')
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
  const path = link?.getAttribute('href') ?? ''
  if (!isPlain || !isPagePath(path) || link?.hasAttribute('target')) return
  event.preventDefault()
  actions.navigate(path)
})
addEventListener('popstate', applyAddress)
addEventListener('pagehide', tabs.leave)

scheduler.schedule()
if (!state.catalog) actions.reloadCatalog()
if (state.route.app && !own(state.histories, state.route.app)) actions.loadHistory(state.route.app)
if (hasUnhealthyApp()) refreshStatus(0)
tabs.announce()
logs.sync()
void readiness.poll()
stream.start(state.epoch === null ? '' : `${state.epoch}.${state.seq}`)
