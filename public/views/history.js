import { appPath } from '../state/route.js'
import { authorOf, LABELS, longDuration, short } from '../state/text.js'
import { html } from './html.js'
import { Icon } from './icon.js'
import { ClockTime } from './time.js'

/** @import { HistoryRow } from '../types.js' */

/** Duration in seconds up to which the history shows exact seconds. */
const EXACT_SECONDS = 3600

/**
 * Shows the history of an app as a table. `shown` is the operation id in the URL of the page.
 * @param {{ rows: HistoryRow[] | undefined, skew: number, shown: string | null }} props
 */
export function HistoryTable({ rows, skew, shown }) {
  return html`
    <section class="history" aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      ${rows === undefined && html`<p class="empty" aria-busy="true">Reading the history…</p>`}
      ${rows?.length === 0 && html`<p class="empty">Nothing has happened yet.</p>`}
      ${
        rows !== undefined &&
        rows.length > 0 &&
        html`
        <table>
          <thead><tr><th scope="col">When</th><th scope="col">Status</th><th scope="col">For</th><th scope="col">By whom</th><th scope="col">Operation</th></tr></thead>
          <tbody>${rows.map((row) => html`<${Row} key=${row.seq} row=${row} skew=${skew} isShown=${String(row.operation_id) === shown} />`)}</tbody>
        </table>
      `
      }
    </section>
  `
}

/** @param {{ row: HistoryRow, skew: number, isShown: boolean }} props */
const Row = ({ row, skew, isShown }) => html`
  <tr class=${isShown ? 'is-shown' : ''} data-seq=${row.seq}>
    <td class="history-when"><${ClockTime} at=${row.at} skew=${skew} date=${true} /></td>
    <td class="history-what">
      <span class="history-status"><${Icon} name=${row.to_status ?? 'broken'} />${row.to_status === null ? 'Deleted' : row.to_status === row.from_status ? 'Restarted' : LABELS[row.to_status]}</span>
      ${row.message && html`<p class="muted">${row.message}</p>`}
    </td>
    <td class="history-stay">${row.to_status !== null && durationOf(row.duration_seconds)}</td>
    <td class="muted">${authorOf(row)}</td>
    <td>${row.operation_id !== null && html`<a href=${appPath(row.app, row.operation_id)} aria-current=${isShown ? 'page' : undefined} aria-label=${`Log of operation ${row.operation_id}`}>${row.operation_id}</a>`}</td>
  </tr>
`

/** @param {number | null} seconds */
function durationOf(seconds) {
  if (seconds === null) return html`<span class="muted">now</span>`
  return seconds < EXACT_SECONDS ? short(seconds) : longDuration(seconds * 1000)
}
