import { capital, list } from '../state/text.js'
import { Dialog } from './dialog.js'
import { html } from './html.js'

/** @import { PlanChoice, State, Actions } from '../types.js' */

/** The code of the one blocker that an answer here takes away. */
const CHOICE_NEEDED = 'BL007'

/** What an install brings along and what has to be chosen, before it begins. @param {{ state: State, verbs: Actions }} props */
export function PlanDialog({ state, verbs }) {
  const { asking } = state
  if (!asking) return null
  const { app, plan, problem } = asking
  /** @param {string} name */
  const label = (name) => state.catalog?.find((entry) => entry.name === name)?.display_name ?? name
  const brought = plan.installs.filter((name) => name !== app)
  const questions = plan.choices.filter(({ available }) => available.length > 1)
  const blockers = plan.blockers.filter(({ sqlstate }) => sqlstate !== CHOICE_NEEDED)
  const isOpen = plan.blockers.length > 0
  return html`
    <${Dialog} title=${`Install ${label(app)}?`} close=${verbs.closePlan}>
      ${
        brought.length > 0 &&
        html`<p>It needs <strong>${list(brought.map(label))}</strong>, which ${brought.length === 1 ? 'is' : 'are'} installed along with it, first.</p>`
      }
      ${questions.map((choice) => html`<${Question} key=${slotOf(choice)} choice=${choice} given=${asking.choices[slotOf(choice)]} label=${label} verbs=${verbs} />`)}
      ${blockers.map(({ message, detail, hint }) => html`<p class="plan-blocker" role="alert"><strong>${message}.</strong> ${detail} <span class="muted">${hint}</span></p>`)}
      ${problem && html`<p class="plan-blocker" role="alert">${problem.detail ?? problem.title}</p>`}
      <div class="dialog-buttons">
        <button type="button" onClick=${verbs.closePlan} data-focus=${questions.length === 0 || undefined}>Not now</button>
        <button type="button" class="primary" data-confirm="install" disabled=${isOpen} onClick=${verbs.confirmPlan}>
          ${brought.length > 0 ? `Install all ${brought.length + 1}` : 'Install'}
        </button>
      </div>
    <//>
  `
}

/** @param {PlanChoice} choice */
const slotOf = ({ app, slot }) => `${app}.${slot}`

/** @param {{ choice: PlanChoice, given: string[] | undefined, label: (name: string) => string, verbs: Actions }} props */
function Question({ choice, given, label, verbs }) {
  const slot = slotOf(choice)
  const chosen = given ?? choice.chosen ?? []
  /** @param {string} name */
  const choose = (name) => {
    const without = chosen.filter((one) => one !== name)
    if (!choice.multi) verbs.choose(slot, [name])
    else verbs.choose(slot, chosen.includes(name) ? without : [...chosen, name])
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
