import { useEffect, useState } from 'preact/hooks'
import { html } from '../html.js'
import { ACTION_LABELS, BUSY_LABELS, list } from '../words.js'
import { Dialog } from './dialogs.js'

/** @import { App, Pending, RollbackPlan, Verbs } from '../types.js' */

/** Goes back to what was on before, after a look at what that means. Whether it may is the database's word, asked for
 *  when this is shown and again when it is pressed. @param {{ app: App, pending: Pending | undefined, verbs: Verbs }} props */
export function RollBack({ app, pending, verbs }) {
  const [plan, setPlan] = useState(/** @type {RollbackPlan | null} */ (null))
  const [asking, setAsking] = useState(false)
  const busy = pending?.action === 'rollback'
  useEffect(() => {
    let shown = true
    verbs.planRollback().then(
      (found) => shown && setPlan(found),
      () => {}, // Then it is not offered; the next look asks again.
    )
    return () => {
      shown = false
    }
  }, [app.status, app.operation_id, pending === undefined])
  if (!plan) return null
  const blocker = plan.blockers[0]
  async function press() {
    if (pending) return
    const found = await verbs.planRollback().catch(() => null)
    if (!found) return
    setPlan(found)
    setAsking(found.blockers.length === 0)
  }
  function confirm() {
    setAsking(false)
    if (plan) verbs.rollback(app.name, plan)
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
    ${asking && html`<${RollbackDialog} plan=${plan} close=${() => setAsking(false)} confirm=${confirm} />`}
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
