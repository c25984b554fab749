import { useRef } from 'preact/hooks'
import { own } from '../state/record.js'
import { appPath } from '../state/route.js'
import { inFlight, lastSeenOf, tone, toneOf } from '../state/status.js'
import { clock, LABELS, list, MEANINGS, restartText, timeInStatus, usualRange } from '../state/text.js'
import { Controls } from './controls.js'
import { Failure, Refusal } from './failure.js'
import { useFocusKept } from './focus.js'
import { html } from './html.js'
import { Avatar, Icon } from './icon.js'
import { LogPanel } from './log.js'
import { useMemoized } from './memo.js'
import { Stepper } from './stepper.js'
import { ClockTime, Elapsed, useIsBrowser, useTime } from './time.js'

/** @import { App, Log, Pending, Problem, RollbackPlan, State, Status, Actions } from '../types.js' */

/** Number of app cards in the HTML from the server. The second render of the browser adds the others. */
const FIRST_CARDS = 40

const collator = new Intl.Collator('en', { numeric: true })
/** @param {{ display_name: string }} a @param {{ display_name: string }} b */
export const byName = (a, b) => collator.compare(a.display_name, b.display_name)

/** @param {{ state: State, actions: Actions }} props */
export function AppList({ state, actions }) {
  const isBrowser = useIsBrowser()
  const memo = useMemoized(isUrgent)
  const apps = useSortedApps(Object.values(state.apps))
  return html`
    <section aria-labelledby="apps-title">
      <h2 id="apps-title">Your apps ${apps.length > 0 && html`<span class="count">${apps.length}</span>`}</h2>
      ${!state.loaded && html`<p class="empty" aria-busy="true">Asking the agent what is installed…</p>`}
      ${
        state.loaded &&
        apps.length === 0 &&
        html`
        <p class="empty"><strong>Nothing is installed yet.</strong> Pick an app from the catalog below; you can watch every step here.</p>
      `
      }
      <div class="cards">
        ${apps.slice(0, isBrowser ? apps.length : FIRST_CARDS).map((app) => memo(app.name, cardProps(state, app, actions), (props) => html`<${Card} key=${app.name} ...${props} />`))}
      </div>
    </section>
  `
}

/**
 * Returns the apps sorted by displayed name. The former order is reused while no name has changed.
 * @param {App[]} apps
 * @returns {App[]}
 */
function useSortedApps(apps) {
  const last = useRef({ apps, order: /** @type {number[]} */ ([]) })
  const { apps: before, order: known } = last.current
  const isSame =
    known.length === apps.length &&
    apps.every((app, index) => before[index]?.display_name === app.display_name)
  const order = isSame ? known : apps.map((_, index) => index).sort((a, b) => byName(at(a), at(b)))
  last.current = { apps, order }
  /** @param {number} index */
  function at(index) {
    return /** @type {App} */ (apps[index])
  }
  return order.map(at)
}

/**
 * @typedef {object} CardProps
 * @property {App} app
 * @property {number} skew
 * @property {string} hostname
 * @property {string | null} lastSeen time of the last news, or null while the page is up to date
 * @property {boolean} reachable false while the agent does not answer
 * @property {Pending | undefined} pending
 * @property {Problem | undefined} problem
 * @property {RollbackPlan | null} rollback null unless the app is unhealthy
 * @property {Log | null} log
 * @property {string} ahead sentence that names the apps before this app in the queue
 * @property {Actions} actions
 */

/** @param {State} state @param {App} app @param {Actions} actions @returns {CardProps} */
const cardProps = (state, app, actions) => ({
  app,
  skew: state.skew,
  hostname: state.hostname,
  lastSeen: lastSeenOf(state),
  reachable: state.connection !== 'reconnecting',
  pending: own(state.pending, app.name),
  problem: own(state.refusals, app.name)?.problem,
  rollback: app.status === 'error' ? state.rollback : null,
  log: state.log?.app === app.name ? state.log : null,
  ahead: app.status === 'queued' ? queueText(app, state) : '',
  actions,
})

/**
 * Returns true if a changed card must be rendered at once, because of a new status or a click of the user.
 * @param {CardProps} before
 * @param {CardProps} now
 */
const isUrgent = (before, now) =>
  before.app.status !== now.app.status ||
  String(before.app.operation_id) !== String(now.app.operation_id) ||
  before.pending !== now.pending ||
  before.problem !== now.problem ||
  before.log !== now.log

/** Returns a sentence that names the apps before `app` in the queue. @param {App} app @param {State} state */
export function queueText(app, { apps }) {
  const position = app.queue_position ?? Number.POSITIVE_INFINITY
  const others = Object.values(apps).filter(
    (other) => other.name !== app.name && (other.queue_position ?? Number.POSITIVE_INFINITY) < position,
  )
  if (others.length === 0) return ''
  return `Ahead: ${list(others.sort((a, b) => Number(a.queue_position) - Number(b.queue_position)).map((other) => other.display_name))}.`
}

/** @param {CardProps} props */
const Card = ({
  app,
  skew,
  hostname,
  lastSeen,
  reachable,
  pending,
  problem,
  rollback,
  log,
  ahead,
  actions,
}) => html`
  <article class=${`card ${toneClass(app, lastSeen)}`} id=${`app-${app.name}`} data-app=${app.name} data-status=${app.status}
      aria-labelledby=${`title-${app.name}`}>
    <div class="card-grid">
      <header class="card-head">
        <${Avatar} name=${app.name} label=${app.display_name} />
        <div class="card-name">
          <h3 id=${`title-${app.name}`}><a href=${appPath(app.name)}>${app.display_name}</a></h3>
          <p class="muted">${factsOf(app)}</p>
        </div>
        <${StatusPill} status=${app.status} lastSeen=${lastSeen} />
      </header>
      ${hasSteps(app.status) && html`<${Stepper} app=${app} skew=${skew} />`}
      <${StatusText} app=${app} skew=${skew} ahead=${ahead} />
      <div class="card-trouble">
        <${Problems} app=${app} problem=${problem} rollback=${rollback} pending=${pending} actions=${actions} />
      </div>
      <${CardFooter} app=${app} hostname=${hostname} reachable=${reachable} pending=${pending} actions=${actions} hasLog=${!log && hasLog(app)} />
      ${log && html`<${LogPanel} key=${log.operationId} log=${log} title=${app.display_name} since=${app.status_since} skew=${skew} actions=${actions} />`}
    </div>
  </article>
`

/** @param {App} app */
export const factsOf = (app) =>
  [app.version, app.port && `port ${app.port}`, app.is_system && 'system'].filter(Boolean).join(' · ')

/** @param {Status} status */
const hasSteps = (status) => status !== 'stopped' && status !== 'stopping' && status !== 'running'

/**
 * @param {{ app: App, problem: Problem | undefined, rollback: RollbackPlan | null, pending: Pending |
 *   undefined, actions: Actions, Heading?: string }} props
 */
export const Problems = ({ app, problem, rollback, pending, actions, Heading = 'h4' }) => html`
  ${!inFlight(app.status) && app.status !== 'running' && html`<${Failure} app=${app} rollback=${rollback} pending=${pending} actions=${actions} Heading=${Heading} />`}
  ${app.restarts && app.status === 'running' && html`<p class="failure-hint" data-restarts>${restartText(app.restarts)}</p>`}
  ${app.warnings?.map((warning) => html`<p class="failure-hint" data-warning>${warning}</p>`)}
  ${problem && html`<${Refusal} app=${app.name} problem=${problem} actions=${actions} />`}
`

/**
 * @param {{ app: App, hostname: string, reachable: boolean, pending: Pending | undefined, hasLog: boolean,
 *   actions: Actions }} props
 */
export function CardFooter({ app, hostname, reachable, pending, hasLog: showsLog, actions }) {
  const foot = useRef(/** @type {HTMLElement | null} */ (null))
  useFocusKept(foot, 'button, a')
  return html`
  <footer class="card-foot" ref=${foot}>
    ${app.status === 'running' && app.port && html`<${Address} app=${app} hostname=${hostname} reachable=${reachable} />`}
    <${Controls} app=${app} pending=${pending} actions=${actions}>
      ${showsLog && html`<${LogButton} app=${app} actions=${actions} />`}
    <//>
  </footer>
`
}

/** Returns true if the operation of the app has started, so that a log may exist. @param {App} app */
export const hasLog = (app) => app.operation_id !== null && app.status !== 'queued'

/** @param {{ app: App, actions: Actions }} props */
const LogButton = ({ app, actions }) => html`
  <button type="button" class="quiet" data-log-open=${app.name} onClick=${() => actions.openLog(app.name)}
    aria-label=${`Show the log of ${app.display_name}`}><${Icon} name="log" />Log</button>
`

/**
 * Returns the classes for the colour of an app. While the page is out of date, no app has the colour of its
 * status, because the app may have another status by now.
 * @param {App} app
 * @param {string | null} lastSeen
 */
export const toneClass = (app, lastSeen) =>
  lastSeen === null ? `tone-${toneOf(app)}` : 'tone-off is-outdated'

/** @param {{ status: Status, lastSeen: string | null }} props */
export const StatusPill = ({ status, lastSeen }) => html`
  <span class=${`pill tone-${lastSeen === null ? tone(status) : 'off'}`}><${Icon} name=${status} />${LABELS[status]}</span>
  ${lastSeen && html`<span class="muted" data-last-seen>last seen <${ClockTime} at=${lastSeen} skew=${0} /></span>`}
`

/** @param {{ app: App, skew: number, ahead: string }} props */
export function StatusText({ app, skew, ahead }) {
  const busy = inFlight(app.status)
  const notes = [
    busy && app.queue_position ? `Place ${app.queue_position} in the queue.` : null,
    ahead || null,
    app.required_by?.length ? `Needed by ${list(app.required_by)}.` : null,
  ].filter(Boolean)
  return html`
    <p class="situation">
      <span class="situation-text">
        ${MEANINGS[app.status]} ${notes.map((note) => html`<span class="note">${note} </span>`)}
        ${busy && app.status !== 'queued' && app.deadline && html`<span class="deadline">Gives up at <${ClockTime} at=${app.deadline} skew=${skew} />.</span>`}
      </span>
      <span class="situation-time">
        <${Elapsed} key=${app.status_since} since=${app.status_since} skew=${skew} slow=${!busy}
          format=${busy ? clock : (/** @type {number} */ ms) => timeInStatus(app.status, ms)} />
        ${busy && app.usual && html`<${Usual} app=${app} usual=${app.usual} skew=${skew} />`}
      </span>
    </p>
  `
}

/**
 * Shows the usual duration of the present status. After the 90th percentile the text is "longer than usual".
 * @param {{ app: App, usual: NonNullable<App['usual']>, skew: number }} props
 */
function Usual({ app, usual, skew }) {
  const lateFrom = Date.parse(app.status_since) + Math.max(1, usual.p90_seconds) * 1000
  const late = useTime((now) => now - skew > lateFrom)
  return html`<span class=${`usual ${late ? 'is-late' : ''}`}>${late ? `longer than usual (${usualRange(usual)})` : `usually ${usualRange(usual)}`}</span>`
}

/**
 * Shows the address of an app: a link for a web app, host and port for other protocols.
 * @param {{ app: App, hostname: string, reachable: boolean }} props
 */
function Address({ app, hostname, reachable }) {
  if (app.protocol === 'http') {
    return html`<${OpenLink} app=${app} href=${reachable ? `http://${hostname}:${app.port}` : undefined} />`
  }
  return (
    app.protocol &&
    html`<span class="address" data-address><span class="muted">Reached at</span> <code>${hostname}:${app.port}</code></span>`
  )
}

/**
 * Shows the link to an app. Without `href` the link is disabled.
 * @param {{ app: App, href: string | undefined }} props
 */
const OpenLink = ({ app, href }) => html`
  <a class="button primary" data-open role="link" href=${href} target="_blank" rel="noopener noreferrer"
    aria-disabled=${href === undefined ? 'true' : undefined}
    title=${href === undefined ? 'The agent does not answer, so the app may be off' : undefined}>
    Open <span class="sr">${app.display_name}</span><${Icon} name="open" />
  </a>
`
