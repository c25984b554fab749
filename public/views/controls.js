import { useState } from 'preact/hooks'
import { inFlight } from '../state/status.js'
import { ACTION_LABELS, BUSY_LABELS } from '../state/text.js'
import { PurgeDialog, UninstallDialog } from './dialog.js'
import { html } from './html.js'
import { Icon } from './icon.js'

/** @import { Verb, App, Control, Pending, Status, Actions } from '../types.js' */

/** @type {Verb[]} */
const ACTIONS = ['install', 'retry', 'cancel', 'uninstall', 'purge']

/**
 * For each status of an app, the button that is always in the first row of the app's buttons, even if it is
 * disabled.
 * @type {Partial<Record<Status, Verb>>}
 */
const EXPECTED = {
  queued: 'cancel',
  configuring: 'cancel',
  building: 'cancel',
  running: 'uninstall',
  stopped: 'install',
  error: 'uninstall',
  failed: 'retry',
}

/**
 * Divides the buttons of an app into a first row and a menu. The purge (uninstall that also deletes the data)
 * has no button while an uninstall is allowed, because the uninstall dialog contains the purge.
 * @param {App} app
 * @returns {{ front: Verb[], rest: Verb[] }}
 */
function arrange(app) {
  const may = (/** @type {Verb} */ action) => app.controls?.[action]?.allowed === true
  /** @param {Verb} action */
  const inFront = (action) => {
    if (action === 'purge') return may('purge') && !may('uninstall')
    if (action === 'install' && may('retry')) return false
    return may(action) || EXPECTED[app.status] === action
  }
  const known = ACTIONS.filter((action) => app.controls?.[action])
  const offered = known.filter((action) => action !== 'purge' || !may('purge') || !may('uninstall'))
  return { front: known.filter(inFront), rest: offered.filter((action) => !inFront(action)) }
}

/**
 * Shows the buttons of an app. `children` are placed between the first row and the menu.
 * @param {{ app: App, pending: Pending | undefined, actions: Actions, children?: unknown }} props
 */
export function Controls({ app, pending, actions, children }) {
  const [dialog, setDialog] = useState(/** @type {Verb | null} */ (null))
  const { front, rest } = arrange(app)
  /** @param {Verb} action */
  const onPress = (action) =>
    action === 'uninstall' || action === 'purge' ? setDialog(action) : actions.request(app.name, action)
  /** @param {Verb} action */
  const confirm = (action) => {
    setDialog(null)
    actions.request(app.name, action)
  }
  const close = () => setDialog(null)
  /** @param {Verb} action */
  const button = (action) =>
    html`<${ActionButton} key=${action} app=${app} action=${action} pending=${pending} onPress=${onPress} />`
  return html`
    ${front.map(button)}${children}
    ${rest.length > 0 && html`<${OtherActions} app=${app} denied=${rest} button=${button} />`}
    ${dialog === 'uninstall' && html`<${UninstallDialog} app=${app} close=${close} confirm=${confirm} purge=${() => setDialog('purge')} />`}
    ${dialog === 'purge' && html`<${PurgeDialog} app=${app} close=${close} confirm=${confirm} />`}
  `
}

/** @param {App} app @param {Verb} action */
function labelOf(app, action) {
  if (action === 'install' && app.status === 'stopped') return 'Install again'
  const hasDialog = action === 'uninstall' || action === 'purge'
  return `${ACTION_LABELS[action]}${hasDialog ? '…' : ''}`
}

/** @param {App} app @param {Verb} action */
function reasonOf(app, action) {
  const control = app.controls?.[action]
  return control?.allowed ? null : (control?.reason ?? null)
}

/**
 * Shows a button with `aria-disabled` instead of `disabled`, because keyboard users cannot reach a button
 * with the attribute `disabled`.
 * @param {{ app: App, action: Verb, pending: Pending | undefined, onPress: (action: Verb) => void }} props
 */
function ActionButton({ app, action, pending, onPress }) {
  const control = app.controls?.[action]
  // A requested cancel is stored in the database, so the button stays busy after a page reload.
  const cancelling = action === 'cancel' && Boolean(app.cancel_requested_at) && inFlight(app.status)
  const busy = pending?.action === action || cancelling
  const disabled = !control?.allowed || pending !== undefined || cancelling
  const reason = reasonOf(app, action)
  const reasonId = reason ? `reason-${app.name}-${action}` : undefined
  return html`
    <button type="button" data-action=${action} class=${action === 'purge' ? 'danger' : action === 'retry' || action === 'install' ? 'primary' : ''}
      aria-disabled=${disabled} aria-busy=${busy} aria-describedby=${reasonId} title=${reason ?? undefined}
      aria-label=${`${labelOf(app, action)} ${app.display_name}`}
      onClick=${() => !disabled && onPress(action)}>
      ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${busy ? BUSY_LABELS[action] : labelOf(app, action)}
    </button>
    ${reason && html`<span class="sr" id=${reasonId}>${reason}</span>`}
  `
}

/**
 * Shows a menu of the disabled buttons. The reasons are text, because a phone shows no `title` attributes.
 * @param {{ app: App, denied: Verb[], button: (action: Verb) => unknown }} props
 */
const OtherActions = ({ app, denied, button }) => html`
  <details class="others">
    <summary aria-label=${`Other actions for ${app.display_name}`} title="Other actions"><${Icon} name="more" /></summary>
    <ul>
      ${denied.map((action) => html`<li key=${action}>${button(action)}<span class="muted" aria-hidden="true">${reasonOf(app, action)}</span></li>`)}
    </ul>
  </details>
`
