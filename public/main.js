/** The page: wire → store → views. The only file here with a life of its own; everything it starts it also bounds. */
import { hydrate, render } from 'preact'
import { createActions } from './net/actions.js'
import { getRollbackPlan, getStatus } from './net/api.js'
import { createLogs } from './net/logstream.js'
import { createStatusRefresh } from './net/statusrefresh.js'
import { createStream } from './net/stream.js'
import { createTabs } from './net/tabs.js'
import { initialStateFrom } from './state/initial.js'
import { isPagePath, parseRoute } from './state/route.js'
import { inFlight } from './state/status.js'
import { reduce } from './state/store.js'
import { titleOf } from './state/text.js'
import { html } from './views/html.js'
import { Page } from './views/page.js'
import { createRenderScheduler } from './views/renderscheduler.js'

/** @import { Message } from './types.js' */

/** The catalog changes when the files of the host change; a page left open for days looks again on wake. */
const CATALOG_AGE_MS = 10 * 60 * 1000

const root = /** @type {HTMLElement} */ (document.getElementById('app'))
const facts = JSON.parse(document.getElementById('facts')?.textContent ?? '{}')
let state = initialStateFrom({ path: location.pathname, ...facts, hostname: location.hostname }, Date.now())

/** @param {Message} message */
function dispatch(message) {
  const app = message.type === 'app' ? message.event.app : undefined
  if (app) drawing.before(app)
  const before = state
  state = reduce(before, message)
  if (state === before) return
  logs.tune()
  drawing.soon(app)
}

/** What the server sent is taken over as it is; without it there is nothing to take over. */
let show = root.firstChild ? hydrate : render
const drawing = createRenderScheduler(() => {
  show(html`<${Page} state=${state} verbs=${verbs} />`, root)
  show = render
  const title = titleOf(state)
  if (document.title !== title) document.title = title
})

const tabs = createTabs({ visible: () => !document.hidden, onChange: () => retune() })
const logs = createLogs({
  wanted: () => (state.log && !state.log.ended && !document.hidden ? state.log.operationId : null),
  polls: () => state.connection === 'polling' || !tabs.mayHold(),
  onMessage: dispatch,
})
const refetch = createStatusRefresh(async () => {
  dispatch({ type: 'status', ...(await getStatus()), receivedAt: Date.now() })
  // Once for the machine, however many apps offer it.
  if (hasUnhealthy()) dispatch({ type: 'rollback-plan', plan: await getRollbackPlan() })
})
const hasUnhealthy = () => Object.values(state.apps).some(({ status }) => status === 'error')
const verbs = createActions({
  dispatch,
  look: () => state,
  refetch,
  go(path) {
    history.pushState(null, '', path)
    arrive()
    scrollTo(0, 0)
  },
})

const stream = createStream({
  onMessage(message) {
    const wasLive = state.connection === 'live'
    dispatch(message)
    if (message.type === 'app' || message.type === 'refresh') refetch()
    // In case the word of what changes without an event was lost, as of a cancel asked for elsewhere.
    if (message.type === 'heartbeat' && Object.values(state.apps).some((app) => inFlight(app.status)))
      refetch()
    // Back on line: the catalog may have failed meanwhile.
    if (message.type === 'connection' && message.state === 'live' && !wasLive && !state.catalog)
      verbs.reloadCatalog()
  },
  wakers: [document, window],
  mayHold: () => tabs.mayHold(),
  visible: () => !document.hidden,
})

function arrive() {
  const route = parseRoute(location.pathname)
  dispatch({ type: 'go', route })
  if (route.app) verbs.loadHistory(route.app)
}

function retune() {
  stream.tune()
  logs.tune()
}

let catalogAt = Date.now()
document.addEventListener('visibilitychange', () => {
  tabs.tell()
  retune()
  if (document.hidden || Date.now() - catalogAt < CATALOG_AGE_MS) return
  catalogAt = Date.now()
  verbs.reloadCatalog()
})
/** Links within the page change the address and nothing is loaded; those with a target or a key are the browser's. */
root.addEventListener('click', (event) => {
  const link = /** @type {Element} */ (event.target).closest('a[href]')
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
  const path = link?.getAttribute('href') ?? ''
  if (!isPlain || !isPagePath(path) || link?.hasAttribute('target')) return
  event.preventDefault()
  verbs.go(path)
})
addEventListener('popstate', arrive)
addEventListener('pagehide', tabs.leave)

drawing.soon()
if (!state.catalog) verbs.reloadCatalog()
if (state.route.app && !state.histories[state.route.app]) verbs.loadHistory(state.route.app)
if (hasUnhealthy()) refetch(0)
tabs.tell()
logs.tune()
stream.start(state.epoch === null ? '' : `${state.epoch}.${state.seq}`)
