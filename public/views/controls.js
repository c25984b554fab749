import { useState } from 'preact/hooks'
import { inFlight } from '../state/status.js'
import { ACTION_LABELS, BUSY_LABELS } from '../state/text.js'
import { PurgeDialog, UninstallDialog } from './dialog.js'
import { html } from './html.js'
import { Icon } from './icon.js'

/** @import { Verb, App, Control, Pending, Status, Actions } from '../types.js' */

/** @type {Verb[]} */
const ACTIONS = ['install', 'retry', 'cancel', 'uninstall', 'purge']

/** Where a refused control is still shown in the first row, because one would look for it there. Layout only: what is
 *  allowed is the database's word. @type {Partial<Record<Status, Verb>>} */
const EXPECTED = {
  queued: 'cancel',
  configuring: 'cancel',
  building: 'cancel',
  running: 'uninstall',
  stopped: 'install',
  error: 'uninstall',
  failed: 'retry',
}

/** @param {App} app @returns {{ front: Verb[], rest: Verb[] }} */
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

/** `children` come after the verbs, before what is not possible now.
 *  @param {{ app: App, pending: Pending | undefined, verbs: Actions, children?: unknown }} props */
export function Controls({ app, pending, verbs, children }) {
  const [asking, setAsking] = useState(/** @type {Verb | null} */ (null))
  const { front, rest } = arrange(app)
  /** @param {Verb} action */
  const press = (action) =>
    action === 'uninstall' || action === 'purge' ? setAsking(action) : verbs.act(app.name, action)
  /** @param {Verb} action */
  const confirm = (action) => {
    setAsking(null)
    verbs.act(app.name, action)
  }
  const close = () => setAsking(null)
  /** @param {Verb} action */
  const button = (action) =>
    html`<${ActionButton} key=${action} app=${app} action=${action} pending=${pending} press=${press} />`
  return html`
    ${front.map(button)}${children}
    ${rest.length > 0 && html`<${OtherActions} app=${app} actions=${rest} button=${button} />`}
    ${asking === 'uninstall' && html`<${UninstallDialog} app=${app} close=${close} confirm=${confirm} purge=${() => setAsking('purge')} />`}
    ${asking === 'purge' && html`<${PurgeDialog} app=${app} close=${close} confirm=${confirm} />`}
  `
}

/** @param {App} app @param {Verb} action */
function labelOf(app, action) {
  if (action === 'install' && app.status === 'stopped') return 'Install again'
  const asks = action === 'uninstall' || action === 'purge'
  return `${ACTION_LABELS[action]}${asks ? '…' : ''}`
}

/** Why not; null when it is allowed. @param {App} app @param {Verb} action */
function reasonOf(app, action) {
  const control = app.controls?.[action]
  return control?.allowed ? null : (control?.reason ?? null)
}

/**
 * aria-disabled, not disabled: the button keeps the focus while it is busy, and its reason can be reached by keyboard.
 * @param {{ app: App, action: Verb, pending: Pending | undefined, press: (action: Verb) => void }} props
 */
function ActionButton({ app, action, pending, press }) {
  const control = app.controls?.[action]
  // A cancel is asked for at once but takes until the work is really gone; a reload does not forget it.
  const cancelling = action === 'cancel' && Boolean(app.cancel_requested_at) && inFlight(app.status)
  const busy = pending?.action === action || cancelling
  const off = !control?.allowed || pending !== undefined || cancelling
  const reason = reasonOf(app, action)
  const reasonId = reason ? `reason-${app.name}-${action}` : undefined
  return html`
    <button type="button" data-action=${action} class=${action === 'purge' ? 'danger' : action === 'retry' || action === 'install' ? 'primary' : ''}
      aria-disabled=${off} aria-busy=${busy} aria-describedby=${reasonId} title=${reason ?? undefined}
      aria-label=${`${labelOf(app, action)} ${app.display_name}`}
      onClick=${() => !off && press(action)}>
      ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${busy ? BUSY_LABELS[action] : labelOf(app, action)}
    </button>
    ${reason && html`<span class="sr" id=${reasonId}>${reason}</span>`}
  `
}

/** What is not possible now, each with its reason in words (a title is no use on a phone).
 *  @param {{ app: App, actions: Verb[], button: (action: Verb) => unknown }} props */
const OtherActions = ({ app, actions, button }) => html`
  <details class="others">
    <summary aria-label=${`Other actions for ${app.display_name}`} title="Other actions"><${Icon} name="more" /></summary>
    <ul>
      ${actions.map((action) => html`<li key=${action}>${button(action)}<span class="muted" aria-hidden="true">${reasonOf(app, action)}</span></li>`)}
    </ul>
  </details>
`
