import { steps } from '../state/status.js'
import { LABELS, short } from '../state/text.js'
import { html } from './html.js'
import { Icon } from './icon.js'
import { Elapsed } from './time.js'

/** @import { App } from '../types.js' */

const STATE_TEXTS = { done: 'done', now: 'now', broken: 'went wrong here', ahead: 'not yet' }

/** @param {{ app: App, skew: number }} props */
export const Stepper = ({ app, skew }) => html`
  <ol class="stepper" aria-label=${`Steps of the install of ${app.display_name}`}>
    ${steps(app).map(
      ({ step, state }) => html`
        <li key=${step} class=${`step is-${state}`} data-step=${step} data-step-state=${state}
            aria-current=${state === 'now' ? 'step' : undefined}>
          <span class="step-mark"><${Icon} name=${state === 'now' || state === 'ahead' ? step : state} /></span>
          <span class="step-word">${LABELS[step]}</span>
          <span class="sr">, ${STATE_TEXTS[state]}</span>
          <span class="step-time">${stepTime(app, step, state, skew)}</span>
        </li>
      `,
    )}
  </ol>
`

/**
 * Returns the duration of a step, or a running clock for the present step.
 * @param {App} app
 * @param {import('../types.js').Status} step
 * @param {string} state
 * @param {number} skew
 */
function stepTime(app, step, state, skew) {
  if (state === 'now')
    return html`<${Elapsed} key=${app.status_since} since=${app.status_since} skew=${skew} />`
  const seconds = app.step_seconds[step]
  return seconds === undefined || step === 'running' || state === 'ahead' ? null : short(seconds)
}
