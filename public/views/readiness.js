import { html } from './html.js'

/** @import { ReadinessCause } from '../types.js' */

/**
 * Shows why the agent is not ready. The element is always in the page, because a screen reader announces only
 * changes of an element that it knows.
 * @param {{ causes: ReadinessCause[] }} props
 */
export const Readiness = ({ causes }) => html`
  <div class="readiness" role="status" aria-label="Why the agent is not ready">
    ${causes.map(
      ({ cause, sentence, hint }) => html`
      <p key=${cause + sentence} data-cause=${cause}><strong>${sentence}</strong> ${hint}</p>
    `,
    )}
  </div>
`
