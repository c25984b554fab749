import { useState } from 'preact/hooks'
import { ACTION_LABELS, BUSY_LABELS, list } from '../state/text.js'
import { Dialog } from './dialog.js'
import { html } from './html.js'

/** @import { App, Pending, RollbackPlan, Actions } from '../types.js' */

/**
 * Shows the button of a rollback. The plan `known` (consequences of a rollback) decides if the button is
 * enabled. A click requests the plan again for the dialog, because it may have changed.
 * @param {{ app: App, known: RollbackPlan | null, pending: Pending | undefined, actions: Actions }} props
 */
export function RollbackControl({ app, known, pending, actions }) {
  const [plan, setPlan] = useState(/** @type {RollbackPlan | null} */ (null))
  const busy = pending?.action === 'rollback'
  if (!known) return null
  const blocker = known.blockers[0]
  async function openDialog() {
    if (pending) return
    const found = await actions.planRollback(app.name)
    setPlan(found?.blockers.length === 0 ? found : null)
  }
  function confirm() {
    setPlan(null)
    if (plan) actions.rollback(app.name, plan)
  }
  const reasonId = `reason-${app.name}-rollback`
  return html`
    <p class="failure-back">
      <button type="button" class="small" data-rollback aria-disabled=${Boolean(blocker) || pending !== undefined} aria-busy=${busy}
        aria-describedby=${blocker ? reasonId : undefined} aria-label=${`${ACTION_LABELS.rollback} because of ${app.display_name}`} onClick=${openDialog}>
        ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${busy ? BUSY_LABELS.rollback : `${ACTION_LABELS.rollback}…`}
      </button>
      ${blocker && html`<span class="muted" id=${reasonId}>${blocker.message}. ${blocker.detail}</span>`}
    </p>
    ${plan && html`<${RollbackDialog} plan=${plan} close=${() => setPlan(null)} confirm=${confirm} />`}
  `
}

/** @param {{ plan: RollbackPlan, close: () => void, confirm: () => void }} props */
const RollbackDialog = ({ plan, close, confirm }) => html`
  <${Dialog} title="Roll back this machine?" close=${close}>
    <p>It goes back from generation ${plan.from} to <strong>generation ${plan.to}</strong>, which was on before.</p>
    ${plan.turns_off.length > 0 && html`<p>Switched off, with the data kept: <strong>${list(plan.turns_off)}</strong>.</p>`}
    ${plan.turns_on.length > 0 && html`<p>Switched on again: <strong>${list(plan.turns_on)}</strong>.</p>`}
    ${!changesApps(plan) && html`<p>No app is switched off or on; those that are on get back the settings they had.</p>`}
    <div class="dialog-buttons">
      <button type="button" onClick=${close} data-focus>Not now</button>
      <button type="button" class="primary" data-confirm="rollback" onClick=${confirm}>Roll back</button>
    </div>
  <//>
`

/** @param {RollbackPlan} plan */
const changesApps = ({ turns_off, turns_on }) => turns_off.length + turns_on.length > 0
