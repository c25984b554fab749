import { useLayoutEffect, useRef } from 'preact/hooks'
import { appPath } from '../state/route.js'
import { inFlight, needsAttention } from '../state/status.js'
import { LABELS } from '../state/text.js'
import { AppList } from './applist.js'
import { AppPage } from './apppage.js'
import { Catalog } from './catalog.js'
import { useFocusKept } from './focus.js'
import { html } from './html.js'
import { Icon, Logo } from './icon.js'
import { PlanDialog } from './plan.js'
import { Queue } from './queue.js'
import { Readiness } from './readiness.js'
import { ClockTime, Elapsed } from './time.js'

/** @import { App, Connection, State, Actions } from '../types.js' */

/** @param {{ state: State, actions: Actions }} props */
export function Page({ state, actions }) {
  const main = useFocusOnNavigation(state.route.app)
  useFocusKept(main, 'h1')
  return html`
    <header class="top">
      <div class="top-row">
        <a class="brand" href="/"><${Logo} />Bloud</a>
        <${Badge} connection=${state.connection} since=${state.staleSince} skew=${state.skew} />
      </div>
      <${Readiness} causes=${state.causes} />
      <${Activity} apps=${Object.values(state.apps)} skew=${state.skew} />
    </header>
    <main ref=${main}>
      ${state.route.app === null ? html`<${Home} state=${state} actions=${actions} />` : html`<${AppPage} key=${state.route.app} name=${state.route.app} state=${state} actions=${actions} />`}
    </main>
    <${PlanDialog} state=${state} actions=${actions} />
    <${Announcer} regions=${state.liveRegions} />
  `
}

/**
 * Moves the focus to the heading after a navigation, so that a screen reader continues there.
 * @param {string | null} app name of the displayed app, or null for the list of all apps
 */
function useFocusOnNavigation(app) {
  const main = useRef(/** @type {HTMLElement | null} */ (null))
  const before = useRef(app)
  useLayoutEffect(() => {
    if (before.current === app) return
    before.current = app
    main.current?.querySelector('h1')?.focus()
  }, [app])
  return main
}

/** @param {{ state: State, actions: Actions }} props */
const Home = ({ state, actions }) => html`
  <h1 class="sr" tabindex="-1">Apps on this server</h1>
  <${Queue} state=${state} />
  <${AppList} state=${state} actions=${actions} />
  <${Catalog} state=${state} actions=${actions} />
`

/** @type {Record<Connection, string>} */
const CONNECTIONS = {
  connecting: 'Connecting',
  live: 'Live',
  polling: 'Live',
  stale: 'Stale',
  reconnecting: 'Reconnecting',
}

/** @type {Record<Connection, string>} */
const EXPLANATIONS = {
  connecting: 'Asking the agent for what is new',
  live: 'Changes are shown as they happen',
  polling: 'The page asks every few seconds, as it can not hold a connection',
  stale: 'The agent gets no news from its database: what is shown may be out of date',
  reconnecting: 'The agent does not answer: what is shown may be out of date',
}

/** @param {{ connection: Connection, since: string | null, skew: number }} props */
const Badge = ({ connection, since, skew }) => html`
  <span class="badge" role="status" data-connection=${connection} title=${EXPLANATIONS[connection]}>
    <span class="badge-dot" aria-hidden="true"></span><span>${CONNECTIONS[connection]}
    ${since && html`${connection === 'reconnecting' ? ', stale' : ''} since <${ClockTime} at=${since} skew=${connection === 'stale' ? skew : 0} />`}</span>
  </span>
`

/** Upper limit of apps by name in the header. Further apps are only counted. */
const MAX_ACTIVITY = 12

/** @param {{ apps: App[], skew: number }} props */
function Activity({ apps, skew }) {
  const all = apps.filter((app) => inFlight(app.status) || needsAttention(app.status))
  if (all.length === 0) return null
  const shown = all.slice(0, MAX_ACTIVITY)
  return html`
    <nav class="activity" aria-label="In progress or in trouble" tabindex="-1">
      ${shown.map(
        (app) => html`
        <a key=${app.name} class=${`activity-item is-${app.status}`} href=${appPath(app.name)}>
          <${Icon} name=${app.status} /><strong>${app.display_name}</strong> ${LABELS[app.status]}
          ${inFlight(app.status) && html`<${Elapsed} key=${app.status_since} since=${app.status_since} skew=${skew} />`}
        </a>
      `,
      )}
      ${all.length > shown.length && html`<span class="activity-more">and ${all.length - shown.length} more</span>`}
    </nav>
  `
}

/**
 * Announces each change of a status to screen readers. The clocks of the page are not in these elements,
 * because a screen reader would announce every second.
 * @param {{ regions: State['liveRegions'] }} props
 */
const Announcer = ({ regions: { polite, urgent } }) => html`
  <p class="sr" role="status" aria-live="polite">${polite.text}</p>
  <div class="sr" role="alert" aria-atomic="false">${urgent.map(({ app, text }) => html`<p key=${app}>${text}</p>`)}</div>
`
