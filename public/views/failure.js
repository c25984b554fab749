import { useLayoutEffect, useRef } from 'preact/hooks'
import { appPath } from '../state/route.js'
import { needsAttention } from '../state/status.js'
import { CopyButton } from './copybutton.js'
import { html } from './html.js'
import { Icon } from './icon.js'
import { logLine } from './logline.js'
import { RollbackControl } from './rollback.js'

/** @import { App, Cause, Pending, Problem, RollbackPlan, Actions } from '../types.js' */

/** @type {Partial<Record<import('../types.js').Status, string>>} */
const DURING = {
  queued: 'before it started',
  configuring: 'while configuring',
  building: 'while building',
  starting: 'while starting',
  running: 'while running',
  stopping: 'while removing',
}

/** Headlines by class of the cause (recorded reason of a failure). @type {Record<string, string>} */
const HEADLINES = {
  cancelled: 'Cancelled',
  timeout: 'Took too long',
  interrupted: 'Interrupted',
  health: 'No healthy answer',
}

/** @param {Cause} cause */
const headline = (cause) =>
  `${HEADLINES[cause.class] ?? 'Failed'} ${(cause.phase && DURING[cause.phase]) ?? ''}`.trim()

/**
 * Returns a sentence if a failure affects no other app, otherwise null. A failed install can affect other
 * apps only if the activation of the new configuration failed.
 * @param {App} app
 * @param {Cause} cause
 */
function unaffected(app, cause) {
  if (app.status === 'failed') {
    return cause.class === 'activate' ? null : 'Nothing was switched over: your other apps were not touched.'
  }
  return app.required_by?.length ? null : 'No other app builds on this one.'
}

/**
 * @param {{ app: App, rollback: RollbackPlan | null, pending: Pending | undefined, actions: Actions, Heading:
 *   string }} props
 */
export function Failure({ app, rollback, pending, actions, Heading }) {
  const { cause } = app
  if (!cause) return null
  const facts = [
    cause.exit_code !== undefined && cause.exit_code !== null && `exit code ${cause.exit_code}`,
    cause.unit && `unit ${cause.unit}`,
  ].filter(Boolean)
  const attention = needsAttention(app.status)
  const fine = attention ? unaffected(app, cause) : null
  return html`
    <section class=${`failure ${attention ? '' : 'is-past'}`} aria-label=${`What went wrong with ${app.display_name}`} data-cause=${cause.class}>
      <${Heading} class="failure-title">${headline(cause)}<//>
      <p class="failure-why">${cause.message}</p>
      ${cause.hint && html`<p class="failure-hint">${cause.hint}</p>`}
      ${fine && html`<p class="failure-fine"><${Icon} name="done" />${fine}</p>`}
      ${cause.log && cause.log.length > 0 && html`<${LastLines} lines=${cause.log} />`}
      ${app.status === 'error' && html`<${RollbackControl} app=${app} known=${rollback} pending=${pending} actions=${actions} />`}
      <p class="failure-facts">${facts.map((fact) => html`<span>${fact}</span>`)}
        ${app.operation_id !== null && html`<${OperationId} app=${app} />`}</p>
    </section>
  `
}

/** @param {{ app: App }} props */
const OperationId = ({ app }) => html`
  <a href=${appPath(app.name, app.operation_id)}>operation ${app.operation_id}</a>
  <${CopyButton} text=${() => `operation ${app.operation_id}`} label="Copy" name=${`Copy the number of operation ${app.operation_id}`} />
`

/**
 * Shows the last log lines, scrolled to the end, because the error is usually in the last lines.
 * @param {{ lines: string[] }} props
 */
function LastLines({ lines }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null))
  const text = lines.join('\n')
  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight
  }, [text])
  return html`
    <div class="log-body last-lines" ref=${box} tabindex="0" role="group" aria-label="Last lines before it went wrong">
      ${lines.map((line, index) => html`<div key=${index} class="log-line">${logLine(line)}</div>`)}
    </div>
  `
}

/** @param {{ app: string, problem: Problem, actions: Actions }} props */
export const Refusal = ({ app, problem, actions }) => html`
  <div class="refusal" role="alert" data-refusal=${problem.code ?? ''}>
    <div>
      <strong>${problem.title}</strong>
      ${problem.detail && html`<p>${problem.detail}</p>`}
      ${problem.hint && html`<p class="muted">${problem.hint}</p>`}
    </div>
    <button type="button" class="small" onClick=${() => actions.dismiss(app)}>Dismiss</button>
  </div>
`
