/** Reducer functions for the histories of apps whose page was opened. */

import { own } from './record.js'

/** @import { AppEvent, HistoryRow, Message, State } from '../types.js' */

export const MAX_ROWS = 100

/** @param {State} state @param {Extract<Message, { type: 'history' }>} message @returns {State} */
export function applyHistory(state, { app: name, rows }) {
  const known = own(state.histories, name) ?? []
  return { ...state, histories: { ...state.histories, [name]: merged(known, rows) } }
}

/** @param {State} state @param {AppEvent} event @returns {State} */
export function addEvent(state, event) {
  const name = event.name ?? event.app
  const known = own(state.histories, name)
  if (!known) return state
  const { seq, at, from_status, to_status, operation_id, actor = '', origin = '', cause } = event
  const row = { seq: Number(seq), at, from_status, to_status, operation_id, actor, origin }
  const reason = { class: cause?.class ?? null, message: cause?.message ?? null }
  const rows = merged(known, [{ ...row, ...reason, app: name, duration_seconds: null }])
  return { ...state, histories: { ...state.histories, [name]: rows } }
}

/**
 * Returns the rows of both lists without duplicates, newest first. A missing duration is computed from the
 * next row.
 * @param {HistoryRow[]} known
 * @param {HistoryRow[]} more
 */
function merged(known, more) {
  const bySeq = new Map([...known, ...more].map((row) => [Number(row.seq), row]))
  const rows = [...bySeq.values()].sort((a, b) => Number(b.seq) - Number(a.seq)).slice(0, MAX_ROWS)
  return rows.map((row, index) => {
    const next = rows[index - 1]
    if (!next || row.duration_seconds !== null) return row
    return { ...row, duration_seconds: (Date.parse(next.at) - Date.parse(row.at)) / 1000 }
  })
}
