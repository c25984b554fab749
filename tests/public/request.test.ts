import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reduce } from '../../public/state/store.js'
import type { Verb, Message } from '../../public/types.js'
import { appStatus, event, fold, snapshot, status } from './builders.ts'

const pressed = (action: Verb): Message => ({ type: 'pressed', app: 'a', action })
const accepted = (action: Verb, id: number): Message => ({
  type: 'accepted',
  app: 'a',
  action,
  operation: { id, app: 'a', kind: 'install', state: 'queued' },
})

describe('a button that was pressed', () => {
  it('is busy from the click until the event of its operation', () => {
    const waiting = fold([snapshot(1, []), pressed('install'), accepted('install', 7)])
    assert.equal(waiting.pending.a?.action, 'install')
    const others = fold([event(2, appStatus('b', 'queued', { operation_id: 6 }))], waiting)
    assert.ok(others.pending.a, 'an event of another app is not the answer')
    assert.deepEqual(fold([event(3, appStatus('a', 'queued', { operation_id: 7 }))], others).pending, {})
  })

  it('is let go when the event was faster than the answer to the request', () => {
    const early = fold([
      snapshot(1, []),
      pressed('install'),
      event(2, appStatus('a', 'queued', { operation_id: 7 })),
    ])
    assert.ok(early.pending.a)
    assert.deepEqual(reduce(early, accepted('install', 7)).pending, {})
  })

  it('stays busy when the answer of another app comes between', () => {
    const between = fold([
      snapshot(1, []),
      pressed('install'),
      event(2, appStatus('b', 'queued')),
      accepted('install', 7),
    ])
    assert.ok(between.pending.a)
  })

  it('is let go by the status when its operation was on its way already', () => {
    const app = appStatus('a', 'queued', { operation_id: 7 })
    const waiting = fold([snapshot(1, [app]), pressed('install'), accepted('install', 7)])
    assert.ok(waiting.pending.a)
    assert.deepEqual(reduce(waiting, status(1, [app])).pending, {})
  })

  it('says cancelling until the work is really gone', () => {
    const app = appStatus('a', 'configuring', { operation_id: 7 })
    const asked = fold([snapshot(1, [app]), pressed('cancel'), accepted('cancel', 7)])
    const further = fold(
      [event(2, { ...app, status: 'building' }), status(2, [{ ...app, status: 'building' }])],
      asked,
    )
    assert.equal(further.pending.a?.action, 'cancel')
    const gone = event(3, { ...app, status: 'failed', cause: { class: 'cancelled', message: 'Cancelled.' } })
    assert.deepEqual(reduce(further, gone).pending, {})
  })

  it('is let go when the app is deleted', () => {
    const app = appStatus('a', 'stopped')
    const asked = fold([snapshot(1, [app]), pressed('purge'), event(2, { ...app, status: 'stopping' }, null)])
    assert.deepEqual(asked.pending, {})
  })

  it('shows why it was refused, until the next click or the next event of the app', () => {
    const problem = { title: 'Not now', code: 'busy' }
    const refused = fold([
      snapshot(1, []),
      pressed('install'),
      { type: 'refused', app: 'a', action: 'install', problem },
    ])
    assert.deepEqual([refused.pending, refused.refusals.a?.problem], [{}, problem])
    assert.deepEqual(reduce(refused, { type: 'dismiss', app: 'a' }).refusals, {})
    assert.deepEqual(reduce(refused, pressed('install')).refusals, {})
    assert.deepEqual(reduce(refused, event(2, appStatus('a', 'queued'))).refusals, {})
  })
})
