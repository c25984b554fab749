/** Tests of event streams with a filter, which contain only the events of some apps. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RelayLimits } from '../../src/relay/relay.ts'
import { fakeClient, fakeHistory, startRelay, until } from './fakes.ts'

const APPS = ['alpha', 'beta', 'gamma']

async function begin(t: TestContext, events: number, limits: Partial<RelayLimits> = {}) {
  const history = fakeHistory()
  const add = (count: number) => {
    for (let added = 0; added < count; added += 1) history.add(1, { app: APPS[history.seq % 3] })
  }
  add(events)
  const { relay, ready } = startRelay(history, limits)
  t.after(relay.stop)
  await ready()
  function join(lastId: string | undefined, ...apps: string[]) {
    const client = fakeClient()
    return { client, connection: relay.open(client.sink, lastId, apps) }
  }
  return { history, relay, add, join }
}

const receivedSeqs = (client: ReturnType<typeof fakeClient>) =>
  client.named('app').map(({ data }) => data.seq)

test('a client with a filter receives the events of its apps only, in order', async (t) => {
  const { relay, add, join } = await begin(t, 6)
  const one = join('abc.0', 'beta').client
  const two = join('abc.0', 'gamma', 'alpha').client
  const all = join('abc.0').client
  add(6)
  relay.notified()
  await until(() => receivedSeqs(all).length === 12)
  assert.deepEqual(receivedSeqs(one), [2, 5, 8, 11])
  assert.deepEqual(receivedSeqs(two), [1, 3, 4, 6, 7, 9, 10, 12])
})

test('events from the backlog are filtered as well', async (t) => {
  const { join } = await begin(t, 95, { warmRows: 5, readRows: 10 })
  const { client } = join('abc.0', 'alpha')
  await until(() => receivedSeqs(client).at(-1) === 94)
  assert.deepEqual(
    receivedSeqs(client),
    Array.from({ length: 32 }, (_, index) => index * 3 + 1),
  )
})

test('the snapshot contains only the apps of the filter', async (t) => {
  const { history, join } = await begin(t, 3)
  history.source.snapshot = async () => ({ epoch: 'abc', seq: 3, apps: APPS.map((name) => ({ name })) })
  const some = join(undefined, 'gamma', 'alpha').client
  const all = join(undefined).client
  await until(() => some.named('snapshot').length + all.named('snapshot').length === 2)
  assert.deepEqual(some.named('snapshot')[0]?.data.apps, [{ name: 'alpha' }, { name: 'gamma' }])
  assert.equal(all.named('snapshot')[0]?.data.apps?.length, 3)
})

test('a client of an app without events receives its current position once', async (t) => {
  const { relay, add, join } = await begin(t, 0, { heartbeatMs: 20 })
  const { client } = join('abc.0', 'delta')
  add(7)
  relay.notified()
  await until(() => client.text().includes('\n\nid: abc.7\n\n'))
  assert.equal(client.named('app').length, 0)
  await until(() => client.named('heartbeat').length >= 4)
  assert.equal(client.text().split('id: abc.7\n\n').length, 2, 'the position is sent only once')
})

test('a poll can be filtered by app, and continues after skipped events', async (t) => {
  const { relay } = await begin(t, 9)
  const { id, events } = await relay.poll('abc.0', 6, ['beta'])
  assert.deepEqual([id, (events as { seq: number }[]).map(({ seq }) => seq)], ['abc.6', [2, 5]])
})
