import { own } from '../state/record.js'
import { appPath } from '../state/route.js'
import { lastSeenOf } from '../state/status.js'
import { capital } from '../state/text.js'
import {
  CardFooter,
  factsOf,
  hasLog,
  Problems,
  queueText,
  StatusPill,
  StatusText,
  toneClass,
} from './applist.js'
import { TileFooter } from './catalog.js'
import { Refusal } from './failure.js'
import { HistoryTable } from './history.js'
import { html } from './html.js'
import { Avatar, Icon } from './icon.js'
import { LogPanel } from './log.js'
import { Stepper } from './stepper.js'

/** @import { App, CatalogEntry, State, Actions } from '../types.js' */

/** @param {{ name: string, state: State, actions: Actions }} props */
export function AppPage({ name, state, actions }) {
  const app = own(state.apps, name)
  const entry = state.catalog?.find((other) => other.name === name)
  const isKnown = app !== undefined || entry !== undefined
  return html`
    <nav class="crumbs" aria-label="Where you are">
      <a href="/"><${Icon} name="back" />All apps</a>
      ${state.route.operationId && html`<a href=${appPath(name)}>${app?.display_name ?? name}</a>`}
    </nav>
    ${app && html`<${Installed} app=${app} entry=${entry} state=${state} actions=${actions} />`}
    ${!app && entry && html`<${NotInstalled} entry=${entry} state=${state} actions=${actions} />`}
    ${!isKnown && html`<${Unknown} name=${name} state=${state} />`}
    ${state.log && html`<${LogPanel} key=${state.log.operationId} log=${state.log} title=${app?.display_name ?? name} since=${app?.status_since} skew=${state.skew} actions=${actions} full=${true} />`}
    ${isKnown && html`<${HistoryTable} rows=${own(state.histories, name)} skew=${state.skew} shown=${state.route.operationId} />`}
  `
}

/** @param {{ app: App, entry: CatalogEntry | undefined, state: State, actions: Actions }} props */
const Installed = ({ app, entry, state, actions }) => html`
  <article class=${`card is-page ${toneClass(app, lastSeenOf(state))}`} data-app=${app.name} data-status=${app.status} aria-labelledby="page-title">
    <header class="card-head">
      <${Avatar} name=${app.name} label=${app.display_name} />
      <div class="card-name">
        <h1 id="page-title" tabindex="-1">${app.display_name}</h1>
        <p class="muted">${factsOf(app)}</p>
      </div>
      <${StatusPill} status=${app.status} lastSeen=${lastSeenOf(state)} />
    </header>
    ${entry?.description && html`<p class="about">${entry.description}</p>`}
    ${app.status !== 'stopped' && app.status !== 'stopping' && html`<${Stepper} app=${app} skew=${state.skew} />`}
    <${StatusText} app=${app} skew=${state.skew} ahead=${app.status === 'queued' ? queueText(app, state) : ''} />
    <${Problems} app=${app} problem=${own(state.refusals, app.name)?.problem} rollback=${state.rollback} pending=${own(state.pending, app.name)} actions=${actions} Heading="h2" />
    <${CardFooter} app=${app} hostname=${state.hostname} reachable=${state.connection !== 'reconnecting'} pending=${own(state.pending, app.name)} actions=${actions}
      hasLog=${!state.log && hasLog(app)} />
  </article>
`

/** @param {{ entry: CatalogEntry, state: State, actions: Actions }} props */
function NotInstalled({ entry, state, actions }) {
  const refusal = own(state.refusals, entry.name)
  return html`
    <article class="card is-page tone-off" data-app=${entry.name} data-status="none" aria-labelledby="page-title">
      <header class="card-head">
        <${Avatar} name=${entry.name} label=${entry.display_name} />
        <div class="card-name">
          <h1 id="page-title" tabindex="-1">${entry.display_name}</h1>
          <p class="muted">${[entry.category && capital(entry.category), entry.version, entry.port && `port ${entry.port}`].filter(Boolean).join(' · ')}</p>
        </div>
      </header>
      <p class="about">${entry.description}</p>
      ${refusal && html`<${Refusal} app=${entry.name} problem=${refusal.problem} actions=${actions} />`}
      <footer class="card-foot"><${TileFooter} entry=${entry} status=${undefined} lastSeen=${null} pending=${own(state.pending, entry.name)} actions=${actions} /></footer>
    </article>
  `
}

/** @param {{ name: string, state: State }} props */
const Unknown = ({ name, state }) =>
  state.loaded && state.catalog
    ? html`<p class="empty"><strong>There is no app called ${name}.</strong> It may have been deleted. <a href="/">See all apps</a>.</p>`
    : html`<p class="empty" aria-busy="true">Asking the agent…</p>`
