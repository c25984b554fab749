import { useLayoutEffect, useRef } from 'preact/hooks'
import { appPath } from '../state/route.js'
import { inFlight, needsAttention } from '../state/status.js'
import { LABELS } from '../state/text.js'
import { Apps } from './applist.js'
import { AppPage } from './apppage.js'
import { Catalog } from './catalog.js'
import { useFocusKept } from './focus.js'
import { html } from './html.js'
import { Icon, Logo } from './icon.js'
import { PlanDialog } from './plan.js'
import { Queue } from './queue.js'
import { ClockTime, Elapsed } from './time.js'

/** @import { App, Connection, State, Actions } from '../types.js' */

/** @param {{ state: State, verbs: Actions }} props */
export function Page({ state, verbs }) {
  const main = useFocusOnArrival(state.route.app)
  useFocusKept(main, 'h1')
  return html`
    <header class="top">
      <div class="top-row">
        <a class="brand" href="/"><${Logo} />Bloud</a>
        <${Badge} connection=${state.connection} since=${state.staleSince} skew=${state.skew} />
      </div>
      <${Activity} apps=${Object.values(state.apps)} skew=${state.skew} />
    </header>
    <main ref=${main}>
      ${state.route.app === null ? html`<${Home} state=${state} verbs=${verbs} />` : html`<${AppPage} key=${state.route.app} name=${state.route.app} state=${state} verbs=${verbs} />`}
    </main>
    <${PlanDialog} state=${state} verbs=${verbs} />
    <${Announcer} announcement=${state.announcement} />
  `
}

/** Whoever follows a link by keyboard or by ear is at the top of what it led to. @param {string | null} place */
function useFocusOnArrival(place) {
  const main = useRef(/** @type {HTMLElement | null} */ (null))
  const before = useRef(place)
  useLayoutEffect(() => {
    if (before.current === place) return
    before.current = place
    main.current?.querySelector('h1')?.focus()
  }, [place])
  return main
}

/** @param {{ state: State, verbs: Actions }} props */
const Home = ({ state, verbs }) => html`
  <h1 class="sr" tabindex="-1">Apps on this server</h1>
  <${Queue} state=${state} />
  <${Apps} state=${state} verbs=${verbs} />
  <${Catalog} state=${state} verbs=${verbs} />
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

/** Named at the top; the rest is counted. */
const MAX_ACTIVITY = 12

/** What is going on and what needs someone, wherever one has scrolled to. @param {{ apps: App[], skew: number }} props */
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

/** Said once per transition; a failure interrupts, each by itself. Clocks tick elsewhere, unheard.
 *  @param {{ announcement: State['announcement'] }} props */
const Announcer = ({ announcement: { polite, urgent } }) => html`
  <p class="sr" role="status" aria-live="polite">${polite.text}</p>
  <div class="sr" role="alert" aria-atomic="false">${urgent.map(({ app, text }) => html`<p key=${app}>${text}</p>`)}</div>
`
