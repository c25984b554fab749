import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MAX_LINES } from '../../public/state/log.js'
import { reduce } from '../../public/state/store.js'
import type { Message } from '../../public/types.js'
import { appStatus, event, fold, snapshot } from './builders.ts'

const lines = (from: number, count: number, operationId = '1'): Message => ({
  type: 'log-lines',
  operationId,
  lines: Array.from({ length: count }, (_, n) => ({ line_no: from + n, at: '', line: `line ${from + n}` })),
})
const building = appStatus('a', 'building')

describe('the log on the page', () => {
  it('opens by itself for the app that is being built, and closes when the app runs', () => {
    const open = fold([snapshot(1, [building, appStatus('b', 'building', { operation_id: 2 })])])
    assert.deepEqual([open.log?.app, open.log?.operationId], ['a', '1'])
    const starting = reduce(open, event(2, { ...building, status: 'starting' }))
    assert.equal(starting.log?.app, 'a')
    assert.equal(reduce(starting, event(3, { ...building, status: 'running' })).log?.app, 'b')
  })

  it('that the user closed stays closed for this operation', () => {
    const closed = fold([snapshot(1, [building]), { type: 'log-close' }, event(2, building)])
    assert.equal(closed.log, null)
    const next = reduce(closed, event(3, { ...building, operation_id: 9 }))
    assert.equal(next.log?.operationId, '9')
  })

  it('that the user opened stays open until the user closes it', () => {
    const opened = fold([snapshot(1, [building]), { type: 'log-open', app: 'a' }])
    assert.equal(reduce(opened, event(2, { ...building, status: 'running' })).log?.app, 'a')
  })

  it('keeps the last lines without duplicates, and counts the dropped lines', () => {
    const many = [snapshot(1, [building]), lines(1, MAX_LINES - 50), lines(5, 3, 'another')]
    const { log } = fold([...many, lines(MAX_LINES - 100, 161)])
    assert.equal(log?.lines.length, MAX_LINES)
    assert.deepEqual(
      [log?.lines[0]?.line_no, log?.lines.at(-1)?.line_no, log?.dropped],
      [61, MAX_LINES + 60, 60],
    )
  })

  it('of an operation is shown at its own address, even while other apps are built', () => {
    const state = fold([
      { type: 'navigate', route: { app: 'a', operationId: '7' } },
      snapshot(1, [building, appStatus('b', 'building', { operation_id: 2 })]),
    ])
    assert.deepEqual([state.log?.app, state.log?.operationId, state.log?.auto], ['a', '7', false])
    assert.equal(reduce(state, event(2, { ...building, status: 'running' })).log?.operationId, '7')
  })

  it('on the page of an app is the log of that app', () => {
    const state = fold([
      { type: 'navigate', route: { app: 'b', operationId: null } },
      snapshot(1, [building, appStatus('b', 'running', { operation_id: 2 })]),
    ])
    assert.equal(state.log, null)
  })
})
