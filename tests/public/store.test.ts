import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reduce } from '../../public/state/store.js'
import type { AppStatus, State, Status } from '../../public/types.js'
import { AT, appStatus, event, fold, NOON, snapshot, status } from './builders.ts'

const seen = (state: State) =>
  Object.fromEntries(
    Object.values(state.apps).map((app) => [app.name, [app.status, app.operation_id, app.status_since]]),
  )

/** Same numbers for the same seed, so that a failure can be seen again. */
function dice(seed: number) {
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

/** A server that lives through something, and what a page may hear of it. */
function randomHistory(seed: number) {
  const roll = dice(seed)
  const truth = new Map<string, AppStatus>()
  const copies: { seq: number; apps: AppStatus[] }[] = [{ seq: 0, apps: [] }]
  const heard = [snapshot(0, [])]
  for (let seq = 1; seq <= 120; seq++) {
    const name = `app-${roll(5)}`
    const at = new Date(NOON + seq * 1000).toISOString()
    const app = appStatus(name, ALL[roll(ALL.length)] ?? 'queued', {
      status_since: at,
      operation_id: roll(40),
    })
    const removed = truth.has(name) && roll(6) === 0
    if (removed) truth.delete(name)
    else truth.set(name, app)
    copies.push({ seq, apps: [...truth.values()] })
    // Replays, results of requests that took long, and results that were faster than the stream.
    if (roll(4) === 0) heard.push(status(seq, [...truth.values()]))
    if (roll(10) > 0) heard.push(event(seq, app, removed ? null : app.status))
    else heard.push(snapshot(seq, [...truth.values()]))
    const copy = copies[roll(copies.length)]
    if (copy && roll(3) === 0) heard.push(status(copy.seq, copy.apps))
    const again = heard[roll(heard.length)]
    if (again?.type === 'app' && roll(3) === 0) heard.push(again)
  }
  return { heard, last: snapshot(120, [...truth.values()]) }
}

describe('the state of the page', () => {
  it('after any history, replays and late answers included, is what a fresh snapshot says', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { heard, last } = randomHistory(seed)
      assert.deepEqual(seen(fold(heard)), seen(fold([last])), `seed ${seed}`)
    }
  })

  it('a status result that was faster than the stream waits for it, so that no step is left out', () => {
    const live = fold([snapshot(5, [appStatus('a', 'queued')])])
    const building = appStatus('a', 'building', {
      controls: { cancel: { allowed: false, reason: 'x', code: 'y' } },
    })
    const early = reduce(live, status(7, [building]))
    assert.equal(early.apps.a?.status, 'queued')
    const next = reduce(early, event(6, appStatus('a', 'configuring')))
    assert.equal(next.apps.a?.status, 'configuring')
    const there = reduce(next, event(7, building))
    assert.deepEqual([there.apps.a?.status, there.apps.a?.stale, there.ahead], ['building', false, null])
    assert.deepEqual(there.apps.a?.controls, building.controls)
  })

  it('a status result that waits is not used for an app that has moved on meanwhile', () => {
    const both = [appStatus('a', 'queued'), appStatus('b', 'queued')]
    const early = fold([
      snapshot(5, both),
      status(6, [appStatus('a', 'configuring'), appStatus('b', 'queued')]),
    ])
    const jumped = reduce(early, snapshot(9, [appStatus('a', 'running'), appStatus('b', 'stopped')]))
    assert.deepEqual(
      [jumped.apps.a?.status, jumped.apps.b?.status, jumped.ahead],
      ['running', 'stopped', null],
    )
  })

  it('a late status result still gives their controls to the apps that have not moved since', () => {
    const live = fold([
      snapshot(5, [appStatus('a', 'queued'), appStatus('b', 'queued')]),
      event(6, appStatus('a', 'configuring')),
      event(7, appStatus('b', 'configuring')),
    ])
    const late = reduce(live, status(6, [appStatus('a', 'configuring'), appStatus('b', 'queued')]))
    assert.deepEqual([late.apps.a?.stale, late.apps.b?.stale], [false, true])
    assert.equal(late.apps.b?.status, 'configuring')
  })

  it('an app that says the same as before is the same, so that nothing is drawn for it', () => {
    const live = fold([snapshot(5, [appStatus('a', 'queued'), appStatus('b', 'queued')])])
    const news = status(5, [appStatus('a', 'queued'), appStatus('b', 'queued', { queue_position: 2 })])
    const after = reduce(live, news)
    assert.equal(after.apps.a, live.apps.a)
    assert.equal(after.apps.b?.queue_position, 2)
    assert.equal(reduce(after, news), after)
  })

  it('a status result older than the last event changes nothing', () => {
    const live = fold([snapshot(5, [appStatus('a', 'queued')]), event(6, appStatus('a', 'configuring'))])
    assert.equal(reduce(live, status(5, [appStatus('a', 'queued')])), live)
  })

  it('a status result of another database changes nothing until the stream says reset', () => {
    const live = fold([snapshot(5, [appStatus('a', 'queued')])])
    const other = status(900, [appStatus('b', 'running')], 'other')
    assert.equal(reduce(live, other), live)
    const reset = reduce(live, { type: 'reset', reason: 'unknown_epoch' })
    assert.equal(reduce(reset, other), reset)
    const after = fold([snapshot(3, [appStatus('b', 'running')], 'other')], reset)
    assert.deepEqual(Object.keys(after.apps), ['b'])
  })

  it('an event shows at once, and the controls wait for the answer of the database', () => {
    const live = fold([snapshot(5, [appStatus('a', 'queued')]), event(6, appStatus('a', 'configuring'))])
    assert.equal(live.apps.a?.status, 'configuring')
    assert.equal(live.apps.a?.stale, true)
    const fresh = reduce(live, status(6, [appStatus('a', 'configuring', { controls: {} })]))
    assert.deepEqual([fresh.apps.a?.stale, fresh.apps.a?.controls], [false, {}])
  })

  it('what an event does not carry is not kept from an earlier operation', () => {
    const failed = appStatus('a', 'failed', {
      operation_state: 'failed',
      cause: { class: 'build', message: 'no' },
    })
    const again = event(6, appStatus('a', 'queued', { operation_id: 2 }))
    const { a } = fold([snapshot(5, [failed]), again]).apps
    assert.deepEqual([a?.cause, a?.operation_state, a?.operation_id], [null, undefined, 2])
  })

  it('what belongs to the app and not to an operation is kept when an event does not carry it', () => {
    const live = fold([snapshot(5, [appStatus('a', 'stopped', { protocol: 'tcp' })])])
    const { a } = fold([event(6, appStatus('a', 'queued', { operation_id: 2 }))], live).apps
    assert.equal(a?.protocol, 'tcp')
  })

  it('each step of an operation keeps how long it took, and another operation begins anew', () => {
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
    assert.deepEqual(live.apps.a?.spent, { queued: 2, configuring: 3 })
    const spent = { queued: 2.1, configuring: 3 }
    const told = reduce(live, status(3, [appStatus('a', 'building', { status_since: at(5), spent })]))
    assert.deepEqual(told.apps.a?.spent, spent)
    assert.deepEqual(fold([step(4, 'failed', 'queued', 9, 2)], told).apps.a?.spent, {})
  })

  it('an app that was deleted is gone', () => {
    const live = fold([snapshot(5, [appStatus('a', 'stopping')]), event(6, appStatus('a', 'stopping'), null)])
    assert.deepEqual(live.apps, {})
    assert.deepEqual(live.announcement, { polite: { app: 'a', text: 'A: removed' }, urgent: [] })
  })

  it('each transition is announced once, a failure urgently and with its reason', () => {
    const first = fold([snapshot(5, [appStatus('a', 'building')])])
    assert.equal(first.announcement.polite.text, '')
    const failed = event(
      6,
      appStatus('a', 'failed', { cause: { class: 'build', message: 'No such package.' } }),
    )
    const after = reduce(first, failed)
    assert.deepEqual(after.announcement.urgent, [{ app: 'a', text: 'A: Install failed. No such package.' }])
    assert.equal(reduce(after, failed), after)
  })

  it('a failure is not lost to what happens to another app, and said no longer once its own app moves', () => {
    const cause = { class: 'build', message: 'No such package.' }
    const failed = fold([
      snapshot(5, [appStatus('a', 'building'), appStatus('b', 'building')]),
      event(6, appStatus('a', 'failed', { cause })),
      event(7, appStatus('b', 'starting')),
    ])
    assert.equal(failed.announcement.polite.text, 'B: Starting')
    assert.deepEqual(failed.announcement.urgent, [{ app: 'a', text: 'A: Install failed. No such package.' }])
    const again = reduce(failed, event(8, appStatus('a', 'queued')))
    assert.deepEqual(again.announcement, { polite: { app: 'a', text: 'A: Queued' }, urgent: [] })
    // The same words after the same failure are said again.
    const twice = reduce(again, event(9, appStatus('a', 'failed', { cause })))
    assert.equal(twice.announcement.polite.text, '')
  })

  it('a cancelled install is said without interrupting anybody', () => {
    const cause = { class: 'cancelled', message: 'Cancelled on request.' }
    const after = fold([
      snapshot(5, [appStatus('a', 'building')]),
      event(6, appStatus('a', 'failed', { cause })),
    ])
    const said = { app: 'a', text: 'A: Install failed. Cancelled on request.' }
    assert.deepEqual(after.announcement, { polite: said, urgent: [] })
  })

  it('the clock of the server counts, whichever way this one is wrong', () => {
    const since = (seconds: number) => new Date(NOON + seconds * 1000).toISOString()
    const ahead = fold([
      snapshot(1, []),
      { ...event(2, appStatus('a', 'queued')), receivedAt: NOON + 90_000 } as never,
    ])
    assert.equal(ahead.skew, 90_000)
    const told = reduce(ahead, { type: 'heartbeat', at: AT, receivedAt: NOON + 30_000 })
    assert.equal(told.skew, 30_000)
    const behind = fold([snapshot(1, [appStatus('a', 'queued', { status_since: since(30) })])])
    assert.equal(behind.skew, -30_000)
    const replayed = {
      ...event(2, appStatus('a', 'queued')),
      receivedAt: NOON + 90_000,
      fresh: false,
    } as never
    assert.equal(fold([snapshot(1, []), replayed]).skew, 0)
  })

  it('a line without news says since when, until there is news again', () => {
    const stale = fold([snapshot(1, []), { type: 'stale', since: AT }])
    assert.deepEqual([stale.connection, stale.staleSince], ['stale', AT])
    const live = reduce(stale, { type: 'connection', state: 'live' })
    assert.deepEqual([live.connection, live.staleSince], ['live', null])
  })
})
