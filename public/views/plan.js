import { own } from '../state/record.js'
import { capital, list } from '../state/text.js'
import { Dialog } from './dialog.js'
import { html } from './html.js'

/** @import { PlanChoice, State, Actions } from '../types.js' */

/** SQLSTATE of the blocker (reason against an install) that a choice in this dialog removes. */
const CHOICE_NEEDED = 'BL007'

/** @param {{ state: State, actions: Actions }} props */
export function PlanDialog({ state, actions }) {
  const { planDialog } = state
  if (!planDialog) return null
  const { app, plan, problem } = planDialog
  /** @param {string} name */
  const label = (name) => state.catalog?.find((entry) => entry.name === name)?.display_name ?? name
  const included = plan.installs.filter((name) => name !== app)
  const openChoices = plan.choices.filter(({ available }) => available.length > 1)
  const blockers = plan.blockers.filter(({ sqlstate }) => sqlstate !== CHOICE_NEEDED)
  const isBlocked = plan.blockers.length > 0
  return html`
    <${Dialog} title=${`Install ${label(app)}?`} close=${actions.closePlan}>
      ${
        included.length > 0 &&
        html`<p>It needs <strong>${list(included.map(label))}</strong>, which ${included.length === 1 ? 'is' : 'are'} installed along with it, first.</p>`
      }
      ${openChoices.map((choice) => html`<${ChoiceField} key=${slotOf(choice)} choice=${choice} selected=${own(planDialog.choices, slotOf(choice))} label=${label} actions=${actions} />`)}
      ${blockers.map(({ message, detail, hint }) => html`<p class="plan-blocker" role="alert"><strong>${message}.</strong> ${detail} <span class="muted">${hint}</span></p>`)}
      ${problem && html`<p class="plan-blocker" role="alert">${problem.detail ?? problem.title}</p>`}
      <div class="dialog-buttons">
        <button type="button" onClick=${actions.closePlan} data-focus=${openChoices.length === 0 || undefined}>Not now</button>
        <button type="button" class="primary" data-confirm="install" disabled=${isBlocked} onClick=${actions.confirmPlan}>
          ${included.length > 0 ? `Install all ${included.length + 1}` : 'Install'}
        </button>
      </div>
    <//>
  `
}

/** @param {PlanChoice} choice */
const slotOf = ({ app, slot }) => `${app}.${slot}`

/**
 * @param {{ choice: PlanChoice, selected: string[] | undefined, label: (name: string) => string, actions:
 *   Actions }} props
 */
function ChoiceField({ choice, selected, label, actions }) {
  const slot = slotOf(choice)
  const chosen = selected ?? choice.chosen ?? []
  /** @param {string} name */
  const choose = (name) => {
    const without = chosen.filter((other) => other !== name)
    if (!choice.multi) actions.choose(slot, [name])
    else actions.choose(slot, chosen.includes(name) ? without : [...chosen, name])
  }
  return html`
    <fieldset class="question" data-slot=${slot}>
      <legend>${capital(choice.slot)} of ${label(choice.app)}${choice.required ? '' : ' (optional)'}</legend>
      ${choice.available.map(
        (name, index) => html`
        <label key=${name} class="option">
          <input type=${choice.multi ? 'checkbox' : 'radio'} name=${slot} value=${name} checked=${chosen.includes(name)}
            data-focus=${index === 0 || undefined} onChange=${() => choose(name)} />
          <span>${label(name)} <span class="muted">${noteOf(choice, name)}</span></span>
        </label>
      `,
      )}
    </fieldset>
  `
}

/** @param {PlanChoice} choice @param {string} name */
function noteOf({ installed, recommended }, name) {
  if (installed.includes(name)) return 'already installed'
  return name === recommended ? 'recommended' : 'is installed along with it'
}
