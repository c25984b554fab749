import { useState } from 'preact/hooks'
import { ACTION_LABELS, BUSY_LABELS, list } from '../state/text.js'
import { Dialog } from './dialog.js'
import { html } from './html.js'

/** @import { App, Pending, RollbackPlan, Actions } from '../types.js' */

/** Goes back to what was on before, after a look at what that means. Whether it may is the database's word: `known` is
 *  the last of it, and it is asked for again when this is pressed.
 *  @param {{ app: App, known: RollbackPlan | null, pending: Pending | undefined, verbs: Actions }} props */
export function RollBack({ app, known, pending, verbs }) {
  const [asked, setAsked] = useState(/** @type {RollbackPlan | null} */ (null))
  const busy = pending?.action === 'rollback'
  if (!known) return null
  const blocker = known.blockers[0]
  async function press() {
    if (pending) return
    const found = await verbs.planRollback(app.name)
    setAsked(found?.blockers.length === 0 ? found : null)
  }
  function confirm() {
    setAsked(null)
    if (asked) verbs.rollback(app.name, asked)
  }
  const reasonId = `reason-${app.name}-rollback`
  return html`
    <p class="failure-back">
      <button type="button" class="small" data-rollback aria-disabled=${Boolean(blocker) || pending !== undefined} aria-busy=${busy}
        aria-describedby=${blocker ? reasonId : undefined} aria-label=${`${ACTION_LABELS.rollback} because of ${app.display_name}`} onClick=${press}>
        ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${busy ? BUSY_LABELS.rollback : `${ACTION_LABELS.rollback}…`}
      </button>
      ${blocker && html`<span class="muted" id=${reasonId}>${blocker.message}. ${blocker.detail}</span>`}
    </p>
    ${asked && html`<${RollbackDialog} plan=${asked} close=${() => setAsked(null)} confirm=${confirm} />`}
  `
}

/** @param {{ plan: RollbackPlan, close: () => void, confirm: () => void }} props */
const RollbackDialog = ({ plan, close, confirm }) => html`
  <${Dialog} title="Roll back this machine?" close=${close}>
    <p>It goes back from generation ${plan.from} to <strong>generation ${plan.to}</strong>, which was on before.</p>
    ${plan.turns_off.length > 0 && html`<p>Switched off, with the data kept: <strong>${list(plan.turns_off)}</strong>.</p>`}
    ${plan.turns_on.length > 0 && html`<p>Switched on again: <strong>${list(plan.turns_on)}</strong>.</p>`}
    ${!movesSome(plan) && html`<p>No app is switched off or on; those that are on get back the settings they had.</p>`}
    <div class="dialog-buttons">
      <button type="button" onClick=${close} data-focus>Not now</button>
      <button type="button" class="primary" data-confirm="rollback" onClick=${confirm}>Roll back</button>
    </div>
  <//>
`

/** @param {RollbackPlan} plan */
const movesSome = ({ turns_off, turns_on }) => turns_off.length + turns_on.length > 0
