/** Tests of how long the page shows a requested install, uninstall … as pending. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reduce } from '../../public/state/store.js'
import type { Message, Verb } from '../../public/types.js'
import { RETRY_AFTER_SECONDS } from '../../src/http/problem.ts'
import { appStatus, event, fold, NOON, snapshot, status } from './builders.ts'

const requested = (action: Verb): Message => ({ type: 'requested', app: 'a', action })
const accepted = (action: Verb, id: number): Message => ({
  type: 'accepted',
  app: 'a',
  action,
  operation: { id, app: 'a', kind: 'install', state: 'queued' },
})

test('a requested verb is pending from the click until the event of its operation', () => {
  const waiting = fold([snapshot(1, []), requested('install'), accepted('install', 7)])
  assert.equal(waiting.pending.a?.action, 'install')
  const others = fold([event(2, appStatus('b', 'queued', { operation_id: 6 }))], waiting)
  assert.ok(others.pending.a, 'an event of another app is not the result')
  assert.deepEqual(fold([event(3, appStatus('a', 'queued', { operation_id: 7 }))], others).pending, {})
})

test('a requested verb is no longer pending when the event arrives before the response', () => {
  const early = fold([
    snapshot(1, []),
    requested('install'),
    event(2, appStatus('a', 'queued', { operation_id: 7 })),
  ])
  assert.ok(early.pending.a)
  assert.deepEqual(reduce(early, accepted('install', 7)).pending, {})
})

test('a requested verb stays pending after an event of another app', () => {
  const between = fold([
    snapshot(1, []),
    requested('install'),
    event(2, appStatus('b', 'queued')),
    accepted('install', 7),
  ])
  assert.ok(between.pending.a)
})

test('a requested verb is no longer pending when the status contains the operation without an event', () => {
  const app = appStatus('a', 'queued', { operation_id: 7 })
  const waiting = fold([snapshot(1, [app]), requested('install'), accepted('install', 7)])
  assert.ok(waiting.pending.a)
  assert.deepEqual(reduce(waiting, status(1, [app])).pending, {})
})

test('a requested verb stays pending for a cancel until the operation has ended', () => {
  const app = appStatus('a', 'configuring', { operation_id: 7 })
  const cancelled = fold([snapshot(1, [app]), requested('cancel'), accepted('cancel', 7)])
  const further = fold(
    [event(2, { ...app, status: 'building' }), status(2, [{ ...app, status: 'building' }])],
    cancelled,
  )
  assert.equal(further.pending.a?.action, 'cancel')
  const ended = event(3, { ...app, status: 'failed', cause: { class: 'cancelled', message: 'Cancelled.' } })
  assert.deepEqual(reduce(further, ended).pending, {})
})

test('a requested verb is no longer pending after its app was uninstalled', () => {
  const app = appStatus('a', 'stopped')
  const purged = fold([
    snapshot(1, [app]),
    requested('purge'),
    event(2, { ...app, status: 'stopping' }, null),
  ])
  assert.deepEqual(purged.pending, {})
})

const refused = (code: string, action: Verb = 'install'): Message => ({
  type: 'refused',
  app: 'a',
  action,
  problem: { title: 'Not now', code },
})
const connection = (state: 'live' | 'polling' | 'reconnecting'): Message => ({ type: 'connection', state })

test('a refusal for want of a connection disappears when the connection is back', () => {
  const temporary = Object.keys(RETRY_AFTER_SECONDS)
  assert.ok(temporary.includes('database_read_only'))
  for (const code of ['unreachable', ...temporary]) {
    const away = fold([connection('reconnecting'), refused(code)])
    assert.ok(away.refusals.a, code)
    assert.deepEqual(reduce(away, connection('live')).refusals, {}, code)
    assert.deepEqual(reduce(away, connection('polling')).refusals, {}, code)
  }
  assert.ok(fold([connection('reconnecting'), refused('busy'), connection('live')]).refusals.a)
})

test('a temporary refusal that came after the connection was back stays for one heartbeat', () => {
  const heartbeat: Message = { type: 'heartbeat', at: '', receivedAt: NOON }
  const first = fold([connection('live'), refused('database_unavailable'), heartbeat])
  assert.ok(first.refusals.a)
  assert.deepEqual(reduce(first, heartbeat).refusals, {})
  assert.ok(fold([connection('live'), refused('busy'), heartbeat, heartbeat]).refusals.a)
})

test('a refusal disappears when the database begins to allow the action', () => {
  const control = (allowed: boolean) => ({ uninstall: { allowed, reason: null, code: null } })
  const app = (allowed: boolean) => appStatus('a', 'running', { controls: control(allowed) })
  const shown = fold([snapshot(1, [app(true)]), refused('is_required', 'uninstall'), status(1, [app(true)])])
  assert.ok(shown.refusals.a, 'the page did not know of the refusal before')
  const known = reduce(shown, status(1, [app(false)]))
  assert.ok(known.refusals.a)
  assert.deepEqual(reduce(known, status(1, [app(true)])).refusals, {})
})

test('a requested verb shows the reason of a refusal until the next click or the next event of the app', () => {
  const problem = { title: 'Not now', code: 'busy' }
  const refused = fold([
    snapshot(1, []),
    requested('install'),
    { type: 'refused', app: 'a', action: 'install', problem },
  ])
  assert.deepEqual([refused.pending, refused.refusals.a?.problem], [{}, problem])
  assert.deepEqual(reduce(refused, { type: 'dismiss', app: 'a' }).refusals, {})
  assert.deepEqual(reduce(refused, requested('install')).refusals, {})
  assert.deepEqual(reduce(refused, event(2, appStatus('a', 'queued'))).refusals, {})
})
