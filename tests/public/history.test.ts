import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MAX_ROWS } from '../../public/state/history.js'
import { reduce } from '../../public/state/store.js'
import type { HistoryRow, Message, Status } from '../../public/types.js'
import { appStatus, event, fold, NOON, snapshot } from './builders.ts'

const at = (seconds: number) => new Date(NOON + seconds * 1000).toISOString()
const row = (seq: number, to: Status, duration: number | null, operation = 1): HistoryRow => ({
  seq,
  at: at(seq),
  app: 'a',
  from_status: null,
  to_status: to,
  duration_seconds: duration,
  operation_id: operation,
  actor: 'ada',
  origin: 'web',
  class: null,
  message: null,
})
const history = (...rows: HistoryRow[]): Message => ({ type: 'history', app: 'a', rows })

describe('the history of an app', () => {
  it('contains every event once, and an event ends the duration of the row before', () => {
    const opened = fold([snapshot(2, [appStatus('a', 'queued')]), history(row(2, 'queued', null))])
    const continued = reduce(opened, event(3, appStatus('a', 'configuring', { status_since: at(7) })))
    assert.deepEqual(
      continued.histories.a?.map(({ seq, duration_seconds }) => [seq, duration_seconds]),
      [
        [3, null],
        [2, 5],
      ],
    )
    const again = reduce(continued, history(row(3, 'configuring', null), row(2, 'queued', 5)))
    assert.equal(again.histories.a?.length, 2)
  })

  it('is collected only after its app was opened, and a long one keeps its newest rows', () => {
    assert.deepEqual(fold([snapshot(2, []), event(3, appStatus('a', 'queued'))]).histories, {})
    const rows = Array.from({ length: MAX_ROWS + 5 }, (_, n) => row(n + 1, 'running', 1))
    const { histories } = fold([snapshot(2, []), history(...rows)])
    assert.deepEqual([histories.a?.length, histories.a?.[0]?.seq], [MAX_ROWS, MAX_ROWS + 5])
  })
})
