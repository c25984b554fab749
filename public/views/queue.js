import { appPath } from '../state/route.js'
import { LABELS } from '../state/text.js'
import { html } from './html.js'
import { Icon } from './icon.js'
import { Elapsed } from './time.js'

/** @import { App, State } from '../types.js' */

/** @param {App} app */
const isRebuilding = (app) =>
  app.status === 'configuring' ||
  app.status === 'building' ||
  (app.status === 'stopping' && app.operation_state === 'active' && !app.queue_position)

/**
 * Shows the apps of the rebuild (one change of the machine for all queued operations) and the waiting apps.
 * Nothing is shown for a single app, because its card suffices.
 * @param {{ state: State }} props
 */
export function Queue({ state }) {
  const apps = Object.values(state.apps)
  const rebuilding = apps.filter(isRebuilding)
  const waiting = apps
    .filter((app) => app.queue_position)
    .sort((a, b) => Number(a.queue_position) - Number(b.queue_position))
  if (rebuilding.length + waiting.length < 2) return null
  return html`
    <section class="queue" aria-labelledby="queue-title">
      <h2 id="queue-title">In progress</h2>
      ${rebuilding.length > 0 && html`<${Rebuild} apps=${rebuilding} skew=${state.skew} />`}
      ${waiting.length > 0 && html`<${Waiting} apps=${waiting} skew=${state.skew} isBusy=${rebuilding.length > 0} />`}
    </section>
  `
}

/** @param {{ apps: App[], skew: number }} props */
function Rebuild({ apps, skew }) {
  const first = apps.reduce((a, b) => (Date.parse(a.status_since) <= Date.parse(b.status_since) ? a : b))
  return html`
    <div class="queue-now">
      <p><strong>${apps.length === 1 ? 'One rebuild' : `One rebuild for ${apps.length} apps`}</strong>
        <span class="muted"> for </span><${Elapsed} key=${first.status_since} since=${first.status_since} skew=${skew} /></p>
      <ul>${apps.map((app) => html`<li key=${app.name}><${Entry} app=${app} /> <span class="muted">${LABELS[app.status]}</span></li>`)}</ul>
    </div>
  `
}

/** @param {{ apps: App[], skew: number, isBusy: boolean }} props */
const Waiting = ({ apps, skew, isBusy }) => html`
  <div class="queue-next">
    <p><strong>${isBusy ? 'Next' : 'Waiting'}</strong> <span class="muted">${apps.length > 1 ? 'all in one rebuild' : ''}</span></p>
    <ol>
      ${apps.map(
        (app) => html`
        <li key=${app.name} value=${app.queue_position}><span class="queue-place">${app.queue_position}.</span> <${Entry} app=${app} />${' '}
          <span class="muted">${app.operation_kind === 'uninstall' ? 'to be removed' : 'to be installed'}, waiting </span>
          <${Elapsed} key=${app.status_since} since=${app.status_since} skew=${skew} /></li>
      `,
      )}
    </ol>
  </div>
`

/** @param {{ app: App }} props */
const Entry = ({ app }) =>
  html`<a href=${appPath(app.name)}><${Icon} name=${app.status} />${app.display_name}</a>`
