/**
 * Tests of clients that reconnect with the id of their last event, and receive the missed events or the event
 * `reset`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { begin, fakeHistory, range, startRelay, until } from './fakes.ts'

test('a client that reconnects with its last id receives the events it missed and no snapshot', async (t) => {
  const { join, history } = await begin(t, 10)
  const before = history.queries()
  const { client } = join('abc.4')
  assert.deepEqual(client.seqs(), range(5, 10))
  assert.equal(client.named('snapshot').length, 0)
  assert.equal(history.queries(), before, 'no query is sent')
})

test('ten thousand clients that reconnect at once cost no query', async (t) => {
  const { join, history } = await begin(t, 100)
  const before = history.queries()
  const clients = range(1, 10_000).map((one) => join(`abc.${one % 100}`).client)
  assert.ok(clients.every((client, index) => client.seqs().length === 100 - ((index + 1) % 100)))
  assert.equal(history.queries(), before)
})

test('events older than the ring are read from the table in backlog pages', async (t) => {
  const { join } = await begin(t, 95, { warmRows: 5, readRows: 10 })
  const { client } = join('abc.7')
  await until(() => client.seqs().at(-1) === 95)
  assert.deepEqual(client.seqs(), range(8, 95))
})

test('many clients that were disconnected for long share one read of each backlog page', async (t) => {
  const { join, history } = await begin(t, 95, { warmRows: 5, readRows: 10 })
  const clients = range(1, 200).map((one) => join(`abc.${(one % 9) + 60}`).client)
  await until(() => clients.every((client) => client.seqs().at(-1) === 95))
  assert.ok(clients.every((client, index) => client.seqs()[0] === ((index + 1) % 9) + 61))
  assert.deepEqual(
    history.readsAfter.filter((seq) => seq < 90),
    [60, 70, 80],
  )
})

test('a client that becomes writable during a backlog read receives the page once', async (t) => {
  const { join, history } = await begin(t, 95, { warmRows: 5, readRows: 10, heartbeatMs: 5 })
  const { streamAfter } = history.source
  const held: (() => void)[] = []
  history.source.streamAfter = async (seq, limit) => {
    const page = await streamAfter(seq, limit)
    if (held.length === 0) await new Promise<void>((resolve) => held.push(resolve))
    return page
  }
  const { client, connection } = join('abc.7')
  await until(() => held.length === 1)
  const writes = client.writes.length
  client.full = true
  await until(() => client.writes.length > writes, 'a heartbeat that fills the client')
  client.full = false
  connection.writable()
  held[0]?.()
  await until(() => client.seqs().at(-1) === 95)
  assert.deepEqual(client.seqs(), range(8, 95))
})

test('gaps in the seqs (rolled-back transactions) do not end the backlog', async (t) => {
  const history = fakeHistory()
  history.set([1, 2, 40, 41, 95, 96, 97])
  const { relay, join, ready } = startRelay(history, { warmRows: 2, readRows: 10 })
  t.after(relay.stop)
  await ready()
  const { client } = join('abc.1')
  await until(() => client.seqs().at(-1) === 97)
  assert.deepEqual(client.seqs(), [2, 40, 41, 95, 96, 97])
})

test('events that are pruned just before their read cause a reset, not a gap', async (t) => {
  const { join, history } = await begin(t, 95, { warmRows: 5, readRows: 10 })
  history.prune(30)
  const { client } = join('abc.7')
  await until(() => client.named('snapshot').length === 1)
  assert.equal(client.named('reset')[0]?.data.reason, 'older_than_retention')
  assert.deepEqual(client.seqs(), [95])
})

for (const [id, reason, why] of [
  ['nonsense', 'malformed_id', 'a malformed id'],
  ['abc.007', 'malformed_id', 'a seq with leading zeros'],
  ['abc.99999999999999999999', 'malformed_id', 'a seq that is too large'],
  ['xyz.5', 'unknown_epoch', 'an id of another epoch'],
  ['abc.11', 'future_id', 'an id in the future'],
  ['abc.2', 'older_than_retention', 'an id whose next event was pruned'],
] as const) {
  test(`${why} is answered with reset and a snapshot`, async (t) => {
    const { join, history, relay } = await begin(t, 10)
    history.prune(3)
    relay.setListening(true)
    await until(() => relay.head?.prunedTo === 3)
    const { client } = join(id)
    await until(() => client.named('snapshot').length === 1)
    const [reset, snapshot] = client.events()
    assert.equal(reset?.event, 'reset')
    assert.equal(reset?.data.reason, reason)
    assert.equal(snapshot?.id, 'abc.10')
    history.add()
    relay.notified()
    await until(() => client.seqs().at(-1) === 11)
  })
}

test('a client can resume from the id right before the oldest event of the history', async (t) => {
  const { join, history, relay } = await begin(t, 10)
  history.prune(3)
  relay.setListening(true)
  await until(() => relay.head?.prunedTo === 3)
  assert.deepEqual(join('abc.3').client.seqs(), range(4, 10))
})

test('an id newer than the ring causes a read before it counts as a future id', async (t) => {
  const { join, history } = await begin(t, 10)
  history.add(2)
  const { client } = join('abc.11')
  await until(() => client.seqs().length > 0)
  assert.deepEqual(client.seqs(), [12])
  assert.equal(client.named('reset').length, 0)
})
