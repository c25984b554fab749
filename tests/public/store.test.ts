/**
 * Tests of the page's state after messages of the event stream and results of GET /api/status, in any order.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reduce } from '../../public/state/store.js'
import type { AppStatus, State, Status } from '../../public/types.js'
import { AT, appStatus, event, fold, NOON, snapshot, status } from './builders.ts'

const summary = (state: State) =>
  Object.fromEntries(
    Object.values(state.apps).map((app) => [app.name, [app.status, app.operation_id, app.status_since]]),
  )

function createRandom(seed: number) {
  let state = seed
  return (sides: number) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor((state / 2147483648) * sides)
  }
}

const ALL: Status[] = [
  'queued',
  'configuring',
  'building',
  'starting',
  'running',
  'stopping',
  'stopped',
  'error',
  'failed',
]

/**
 * Returns 120 random changes as messages to the page, some of them repeated or late, and a snapshot of the
 * final state.
 */
function randomHistory(seed: number) {
  const random = createRandom(seed)
  const present = new Map<string, AppStatus>()
  const copies: { seq: number; apps: AppStatus[] }[] = [{ seq: 0, apps: [] }]
  const messages = [snapshot(0, [])]
  for (let seq = 1; seq <= 120; seq++) {
    const name = `app-${random(5)}`
    const at = new Date(NOON + seq * 1000).toISOString()
    const app = appStatus(name, ALL[random(ALL.length)] ?? 'queued', {
      status_since: at,
      operation_id: random(40),
    })
    const uninstalled = present.has(name) && random(6) === 0
    if (uninstalled) present.delete(name)
    else present.set(name, app)
    copies.push({ seq, apps: [...present.values()] })
    if (random(4) === 0) messages.push(status(seq, [...present.values()]))
    if (random(10) > 0) messages.push(event(seq, app, uninstalled ? null : app.status))
    else messages.push(snapshot(seq, [...present.values()]))
    const copy = copies[random(copies.length)]
    if (copy && random(3) === 0) messages.push(status(copy.seq, copy.apps))
    const again = messages[random(messages.length)]
    if (again?.type === 'app' && random(3) === 0) messages.push(again)
  }
  return { messages, last: snapshot(120, [...present.values()]) }
}

test('the state of the page equals a fresh snapshot after any history with replays and late results', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { messages, last } = randomHistory(seed)
    assert.deepEqual(summary(fold(messages)), summary(fold([last])), `seed ${seed}`)
  }
})

test('a status result that is faster than the stream waits for it, so that no status is skipped', () => {
  const live = fold([snapshot(5, [appStatus('a', 'queued')])])
  const building = appStatus('a', 'building', {
    controls: { cancel: { allowed: false, reason: 'x', code: 'y' } },
  })
  const early = reduce(live, status(7, [building]))
  assert.equal(early.apps.a?.status, 'queued')
  const next = reduce(early, event(6, appStatus('a', 'configuring')))
  assert.equal(next.apps.a?.status, 'configuring')
  const reached = reduce(next, event(7, building))
  assert.deepEqual(
    [reached.apps.a?.status, reached.apps.a?.stale, reached.earlyStatus],
    ['building', false, null],
  )
  assert.deepEqual(reached.apps.a?.controls, building.controls)
})

test('a waiting status result does not change an app with a later event', () => {
  const both = [appStatus('a', 'queued'), appStatus('b', 'queued')]
  const early = fold([
    snapshot(5, both),
    status(6, [appStatus('a', 'configuring'), appStatus('b', 'queued')]),
  ])
  const jumped = reduce(early, snapshot(9, [appStatus('a', 'running'), appStatus('b', 'stopped')]))
  assert.deepEqual(
    [jumped.apps.a?.status, jumped.apps.b?.status, jumped.earlyStatus],
    ['running', 'stopped', null],
  )
})

test('a late status result updates the controls of the apps without a later event', () => {
  const live = fold([
    snapshot(5, [appStatus('a', 'queued'), appStatus('b', 'queued')]),
    event(6, appStatus('a', 'configuring')),
    event(7, appStatus('b', 'configuring')),
  ])
  const late = reduce(live, status(6, [appStatus('a', 'configuring'), appStatus('b', 'queued')]))
  assert.deepEqual([late.apps.a?.stale, late.apps.b?.stale], [false, true])
  assert.equal(late.apps.b?.status, 'configuring')
})

test('an unchanged app stays the same object, so that it is not rendered again', () => {
  const live = fold([snapshot(5, [appStatus('a', 'queued'), appStatus('b', 'queued')])])
  const news = status(5, [appStatus('a', 'queued'), appStatus('b', 'queued', { queue_position: 2 })])
  const after = reduce(live, news)
  assert.equal(after.apps.a, live.apps.a)
  assert.equal(after.apps.b?.queue_position, 2)
  assert.equal(reduce(after, news), after)
})

test('a status result older than the last event changes nothing', () => {
  const live = fold([snapshot(5, [appStatus('a', 'queued')]), event(6, appStatus('a', 'configuring'))])
  assert.equal(reduce(live, status(5, [appStatus('a', 'queued')])), live)
})

test('a status result of another epoch changes nothing until the stream sends a reset', () => {
  const live = fold([snapshot(5, [appStatus('a', 'queued')])])
  const other = status(900, [appStatus('b', 'running')], 'other')
  assert.equal(reduce(live, other), live)
  const reset = reduce(live, { type: 'reset', reason: 'unknown_epoch' })
  assert.equal(reduce(reset, other), reset)
  const after = fold([snapshot(3, [appStatus('b', 'running')], 'other')], reset)
  assert.deepEqual(Object.keys(after.apps), ['b'])
})

test('an event changes the status at once, and the controls with the next status result', () => {
  const live = fold([snapshot(5, [appStatus('a', 'queued')]), event(6, appStatus('a', 'configuring'))])
  assert.equal(live.apps.a?.status, 'configuring')
  assert.equal(live.apps.a?.stale, true)
  const fresh = reduce(live, status(6, [appStatus('a', 'configuring', { controls: {} })]))
  assert.deepEqual([fresh.apps.a?.stale, fresh.apps.a?.controls], [false, {}])
})

test('values that an event does not contain are not kept from an earlier operation', () => {
  const failed = appStatus('a', 'failed', {
    operation_state: 'failed',
    cause: { class: 'build', message: 'no' },
  })
  const again = event(6, appStatus('a', 'queued', { operation_id: 2 }))
  const { a } = fold([snapshot(5, [failed]), again]).apps
  assert.deepEqual([a?.cause, a?.operation_state, a?.operation_id], [null, undefined, 2])
})

test('values of the app, not of an operation, are kept when an event does not contain them', () => {
  const live = fold([snapshot(5, [appStatus('a', 'stopped', { protocol: 'tcp' })])])
  const { a } = fold([event(6, appStatus('a', 'queued', { operation_id: 2 }))], live).apps
  assert.equal(a?.protocol, 'tcp')
})

test('the duration of each step is kept until another operation begins', () => {
  const at = (seconds: number) => new Date(NOON + seconds * 1000).toISOString()
  const step = (seq: number, from: Status, to: Status, seconds: number, id = 1) => {
    const message = event(seq, appStatus('a', to, { status_since: at(seconds), operation_id: id }))
    return { ...message, event: { ...(message as { event: object }).event, from_status: from } } as never
  }
  const live = fold([
    snapshot(1, [appStatus('a', 'queued')]),
    step(2, 'queued', 'configuring', 2),
    step(3, 'configuring', 'building', 5),
  ])
  assert.deepEqual(live.apps.a?.step_seconds, { queued: 2, configuring: 3 })
  const step_seconds = { queued: 2.1, configuring: 3 }
  const measured = reduce(
    live,
    status(3, [appStatus('a', 'building', { status_since: at(5), step_seconds })]),
  )
  assert.deepEqual(measured.apps.a?.step_seconds, step_seconds)
  assert.deepEqual(fold([step(4, 'failed', 'queued', 9, 2)], measured).apps.a?.step_seconds, {})
})

test('an uninstalled app is no longer in the state', () => {
  const live = fold([snapshot(5, [appStatus('a', 'stopping')]), event(6, appStatus('a', 'stopping'), null)])
  assert.deepEqual(live.apps, {})
  assert.deepEqual(live.liveRegions, { polite: { app: 'a', text: 'A: removed' }, urgent: [] })
})

test('each transition is announced once, a failure urgently and with its reason', () => {
  const first = fold([snapshot(5, [appStatus('a', 'building')])])
  assert.equal(first.liveRegions.polite.text, '')
  const failed = event(
    6,
    appStatus('a', 'failed', { cause: { class: 'build', message: 'No such package.' } }),
  )
  const after = reduce(first, failed)
  assert.deepEqual(after.liveRegions.urgent, [{ app: 'a', text: 'A: Install failed. No such package.' }])
  assert.equal(reduce(after, failed), after)
})

test('a failure stays announced after events of other apps, until an event of its own app', () => {
  const cause = { class: 'build', message: 'No such package.' }
  const failed = fold([
    snapshot(5, [appStatus('a', 'building'), appStatus('b', 'building')]),
    event(6, appStatus('a', 'failed', { cause })),
    event(7, appStatus('b', 'starting')),
  ])
  assert.equal(failed.liveRegions.polite.text, 'B: Starting')
  assert.deepEqual(failed.liveRegions.urgent, [{ app: 'a', text: 'A: Install failed. No such package.' }])
  const again = reduce(failed, event(8, appStatus('a', 'queued')))
  assert.deepEqual(again.liveRegions, { polite: { app: 'a', text: 'A: Queued' }, urgent: [] })
  // The second failure is urgent, so it removes the polite announcement of the same app.
  const twice = reduce(again, event(9, appStatus('a', 'failed', { cause })))
  assert.equal(twice.liveRegions.polite.text, '')
})

test('a cancelled install is announced politely', () => {
  const cause = { class: 'cancelled', message: 'Cancelled on request.' }
  const after = fold([
    snapshot(5, [appStatus('a', 'building')]),
    event(6, appStatus('a', 'failed', { cause })),
  ])
  const polite = { app: 'a', text: 'A: Install failed. Cancelled on request.' }
  assert.deepEqual(after.liveRegions, { polite, urgent: [] })
})

test('the clock skew is measured in both directions', () => {
  const since = (seconds: number) => new Date(NOON + seconds * 1000).toISOString()
  const ahead = fold([
    snapshot(1, []),
    { ...event(2, appStatus('a', 'queued')), receivedAt: NOON + 90_000 } as never,
  ])
  assert.equal(ahead.skew, 90_000)
  const corrected = reduce(ahead, { type: 'heartbeat', at: AT, receivedAt: NOON + 30_000 })
  assert.equal(corrected.skew, 30_000)
  const behind = fold([snapshot(1, [appStatus('a', 'queued', { status_since: since(30) })])])
  assert.equal(behind.skew, -30_000)
  const replayed = {
    ...event(2, appStatus('a', 'queued')),
    receivedAt: NOON + 90_000,
    fresh: false,
  } as never
  assert.equal(fold([snapshot(1, []), replayed]).skew, 0)
})

test('the reasons why the agent is not ready are replaced, and an equal list changes nothing', () => {
  const cause = { cause: 'no_worker', sentence: 'No orchestrator.', hint: null, since: null }
  const state = fold([snapshot(1, []), { type: 'readiness', causes: [cause] }])
  assert.deepEqual(state.causes, [cause])
  assert.equal(reduce(state, { type: 'readiness', causes: [{ ...cause, since: AT }] }), state)
  assert.deepEqual(reduce(state, { type: 'readiness', causes: [] }).causes, [])
})

test('stale data has a start time until the stream is live again', () => {
  const stale = fold([snapshot(1, []), { type: 'stale', since: AT }])
  assert.deepEqual([stale.connection, stale.staleSince], ['stale', AT])
  const live = reduce(stale, { type: 'connection', state: 'live' })
  assert.deepEqual([live.connection, live.staleSince], ['live', null])
})
