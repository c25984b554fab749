import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MAX_ROWS } from '../../public/state/history.js'
import { appPath, parseRoute } from '../../public/state/route.js'
import { reduce } from '../../public/state/store.js'
import { byWhom } from '../../public/state/text.js'
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
  it('goes on with every event, each once, and the row before ends there', () => {
    const seen = fold([snapshot(2, [appStatus('a', 'queued')]), history(row(2, 'queued', null))])
    const moved = reduce(seen, event(3, appStatus('a', 'configuring', { status_since: at(7) })))
    assert.deepEqual(
      moved.histories.a?.map(({ seq, duration_seconds }) => [seq, duration_seconds]),
      [
        [3, null],
        [2, 5],
      ],
    )
    const again = reduce(moved, history(row(3, 'configuring', null), row(2, 'queued', 5)))
    assert.equal(again.histories.a?.length, 2)
  })

  it('of an app nobody looks at is not collected, and a long one keeps its newest rows', () => {
    assert.deepEqual(fold([snapshot(2, []), event(3, appStatus('a', 'queued'))]).histories, {})
    const rows = Array.from({ length: MAX_ROWS + 5 }, (_, n) => row(n + 1, 'running', 1))
    const { histories } = fold([snapshot(2, []), history(...rows)])
    assert.deepEqual([histories.a?.length, histories.a?.[0]?.seq], [MAX_ROWS, MAX_ROWS + 5])
  })
})

describe('the address of the page', () => {
  it('says which app and which operation', () => {
    assert.deepEqual(parseRoute('/apps/node-red'), { app: 'node-red', operationId: null })
    assert.deepEqual(parseRoute(appPath('node-red', 7)), { app: 'node-red', operationId: '7' })
    for (const path of ['/', '/apps/', '/apps/a/operations/x', '/nowhere'])
      assert.deepEqual(parseRoute(path), { app: null, operationId: null })
    assert.equal(parseRoute('/apps/%E0%A4%A').app, '%E0%A4%A')
  })
})

it('who made a move is said as a person would', () => {
  assert.equal(byWhom({ actor: 'bloud_orchestrator', origin: 'agent' }), 'the agent')
  assert.equal(byWhom({ actor: 'bloud_operator', origin: 'web' }), 'somebody on this page')
  assert.equal(byWhom({ actor: 'ada', origin: 'psql' }), 'ada in psql')
})
