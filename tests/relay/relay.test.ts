import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNK_BYTES } from '../../src/relay/sendqueue.ts'
import { fakeHistory, startRelay, until } from './fakes.ts'

type T = { after(fn: () => void): void }

/** Starts a relay over a history of so many events, and waits until it has read them. */
async function begin(t: T, events: number, limits = {}) {
  const history = fakeHistory()
  history.add(events)
  const started = startRelay(history, limits)
  t.after(started.relay.stop)
  await started.ready()
  return { history, ...started }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

test('a new client receives a snapshot, then every later event, once and in order', async (t) => {
  const { history, relay, join } = await begin(t, 3)
  const { client } = join()
  await until(() => client.named('snapshot').length === 1)
  assert.deepEqual(client.named('snapshot')[0]?.data.apps, [{ at: 3 }])
  for (let round = 0; round < 20; round += 1) {
    history.add(2)
    relay.notified()
  }
  await until(() => client.seqs().at(-1) === 43)
  assert.deepEqual(client.seqs(), range(3, 43))
})

test('events during the read of a snapshot are neither lost nor sent twice', async (t) => {
  const { history, relay, join } = await begin(t, 0)
  const clients: ReturnType<typeof join>['client'][] = []
  for (let round = 0; round < 50; round += 1) {
    history.add()
    relay.notified()
    clients.push(join().client)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => clients.every((client) => client.seqs().at(-1) === 50))
  for (const client of clients) assert.deepEqual(client.seqs(), range(client.seqs()[0] as number, 50))
})

test('an event that is in the snapshot but not yet in the ring is not sent again', async (t) => {
  const { history, relay, join } = await begin(t, 3)
  history.add()
  const { client } = join()
  await until(() => client.seqs().length === 1)
  relay.notified()
  history.add()
  relay.notified()
  await until(() => client.seqs().at(-1) === 5)
  assert.deepEqual(client.seqs(), [4, 5])
})

test('events that are read during the read of an older snapshot follow it', async (t) => {
  const { history, relay, join } = await begin(t, 3)
  let arrive = () => {}
  history.source.snapshot = () =>
    new Promise((resolve) => {
      arrive = () => resolve({ epoch: 'abc', seq: 3, apps: [] })
    })
  const { client } = join()
  history.add(2)
  relay.notified()
  await until(() => relay.head?.seq === 5)
  arrive()
  await until(() => client.seqs().at(-1) === 5)
  assert.deepEqual(client.seqs(), [3, 4, 5])
})

test('the stream begins with a reconnect delay that has jitter', async (t) => {
  const { join } = await begin(t, 0, { retryMs: 1000 })
  const waits = range(1, 20).map(() => Number(/^retry: (\d+)\n\n/.exec(join().client.text())?.[1]))
  assert.ok(waits.every((wait) => wait >= 1000 && wait <= 2000))
  assert.ok(new Set(waits).size > 1)
})

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

test('nothing is written to a full client; it continues without a gap afterwards', async (t) => {
  const { history, relay, join } = await begin(t, 0)
  const { client, connection } = join('abc.0')
  client.full = true
  history.add(5)
  relay.notified()
  await until(() => client.writes.length === 2)
  history.add(500)
  relay.notified()
  await until(() => relay.head?.seq === 505)
  assert.equal(client.writes.length, 2, 'no write while the client is full')
  client.full = false
  connection.writable()
  assert.deepEqual(client.seqs(), range(1, 505))
})

// uWebSockets.js sends its own buffer only with the next write.
test('a client without pending events receives a comment when it is writable again', async (t) => {
  const { history, relay, join } = await begin(t, 0)
  const { client, connection } = join('abc.0')
  client.full = true
  history.add()
  relay.notified()
  await until(() => client.writes.length === 2)
  client.full = false
  connection.writable()
  assert.equal(client.writes.at(-1), ':\n\n')
})

test('a client that falls behind the ring receives a reset and a snapshot', async (t) => {
  const { history, relay, join } = await begin(t, 0, { ringFrames: 10 })
  const { client, connection } = join('abc.0')
  client.full = true
  history.add()
  relay.notified()
  await until(() => client.writes.length === 2)
  history.add(50)
  relay.notified()
  await until(() => relay.head?.seq === 51)
  client.full = false
  connection.writable()
  await until(() => client.named('snapshot').length === 1)
  assert.equal(client.named('reset')[0]?.data.reason, 'too_slow')
  assert.deepEqual(client.seqs(), [1, 51])
})

test('a client that is full for too long is closed, the others are not', async (t) => {
  const { history, relay, join } = await begin(t, 0, { stuckMs: 30 })
  const stuck = join('abc.0')
  const healthy = join('abc.0')
  stuck.client.full = true
  history.add()
  relay.notified()
  await until(() => stuck.client.closed)
  stuck.connection.closed()
  assert.equal(healthy.client.closed, false)
  assert.equal(relay.stats().clients, 1)
})

test('no write is larger than uWebSockets.js accepts at once', async (t) => {
  const { history, relay, join } = await begin(t, 0)
  const { client } = join('abc.0')
  history.add(1, { cause: 'é'.repeat(50_000) })
  history.add(100, { cause: 'x'.repeat(400) })
  relay.notified()
  await until(() => client.writes.length > 5 && relay.head?.seq === 101)
  await until(() => client.text().includes('"seq":101'))
  assert.ok(client.sizes.every((size) => size <= CHUNK_BYTES))
})

test('many events at the same time are one write for each client', async (t) => {
  const { history, relay, join } = await begin(t, 0, { flushMs: 30 })
  const clients = range(1, 50).map(() => join('abc.0').client)
  history.add()
  relay.notified()
  await until(() => clients.every((client) => client.seqs().length === 1), 'the first event, without delay')
  for (let added = 0; added < 40; added += 1) {
    history.add()
    relay.notified()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => clients.every((client) => client.seqs().length === 41))
  assert.ok(
    clients.every((client) => client.writes.length <= 4),
    `${clients[0]?.writes.length} writes`,
  )
})

test('a notification costs the same few queries for one client and for a thousand', async (t) => {
  const { history, relay, join } = await begin(t, 0)
  const clients = range(1, 1000).map(() => join('abc.0').client)
  const before = history.queries()
  for (let sent = 0; sent < 100; sent += 1) relay.notified()
  history.add()
  relay.notified()
  await until(() => clients.every((client) => client.seqs().length === 1))
  assert.ok(history.queries() - before <= 3, `${history.queries() - before} queries`)
})

test('a thousand new clients share a few snapshots', async (t) => {
  const { history, join } = await begin(t, 5)
  const clients = range(1, 1000).map(() => join().client)
  await until(() => clients.every((client) => client.named('snapshot').length === 1))
  assert.ok(history.calls.snapshot <= 2, `${history.calls.snapshot} snapshots`)
})

test('a lost notification delays events but loses none', async (t) => {
  const { history, join } = await begin(t, 0, { tickMs: 20, degradedTickMs: 20 })
  const { client } = join('abc.0')
  history.add(3)
  await until(() => client.seqs().length === 3)
})

test('without a database clients stay connected and receive stale; they catch up later', async (t) => {
  const { history, relay, join } = await begin(t, 2, { degradedTickMs: 20 })
  const { client } = join('abc.2')
  history.down = true
  relay.setListening(false)
  await until(() => client.named('stale').length === 1)
  history.add(2)
  history.down = false
  await until(() => client.seqs().length === 2)
  assert.deepEqual(client.seqs(), [3, 4])
  const names = client.events().map(({ event }) => event)
  assert.ok(names.lastIndexOf('stale') < names.indexOf('heartbeat'), 'a heartbeat ends the stale state')
})

test('one failed read is repeated without stale being sent', async (t) => {
  const { history, relay, join } = await begin(t, 2)
  const { client } = join('abc.2')
  const { head } = history.source
  let failed = false
  history.source.head = () => {
    if (failed) return head()
    failed = true
    return Promise.reject(new Error('terminating connection'))
  }
  relay.setListening(true)
  history.add()
  await until(() => client.seqs().length === 1)
  assert.equal(client.named('stale').length, 0)
})

test('a client that connects without a database is served as soon as it answers', async (t) => {
  const history = fakeHistory()
  history.add(4)
  history.down = true
  const { relay, join } = startRelay(history, { degradedTickMs: 20 })
  t.after(relay.stop)
  const fresh = join().client
  const back = join('abc.2').client
  await until(() => history.queries() > 3)
  assert.deepEqual(
    fresh.events().map(({ event }) => event),
    ['stale'],
  )
  history.down = false
  await until(() => fresh.seqs().length === 1 && back.seqs().length === 2)
  assert.equal(fresh.named('snapshot')[0]?.id, 'abc.4')
  assert.deepEqual(back.seqs(), [3, 4])
})

test('after a restore all clients start again with a snapshot', async (t) => {
  const { history, relay, join } = await begin(t, 10)
  const clients = [join().client, join('abc.10').client]
  await until(() => clients[0]?.named('snapshot').length === 1)
  history.restore('new', 4)
  relay.setListening(true)
  await until(() => clients.every((client) => client.events().at(-1)?.id === 'new.4'))
  for (const client of clients) assert.equal(client.named('reset')[0]?.data.reason, 'unknown_epoch')
  history.add()
  relay.notified()
  await until(() => clients.every((client) => client.events().at(-1)?.id === 'new.5'))
})

test('events read before the new epoch is known are never sent with the old epoch', async (t) => {
  const { history, relay, join } = await begin(t, 10)
  const { client } = join('abc.10')
  history.restore('new', 12)
  relay.notified()
  await until(() => client.named('snapshot').length === 1)
  assert.deepEqual(
    client.events().map(({ event, id }) => [event, id]),
    [
      ['reset', undefined],
      ['snapshot', 'new.12'],
    ],
  )
})

test('events that were pruned before they were read cause a reset', async (t) => {
  const { history, relay, join } = await begin(t, 10)
  const { client } = join('abc.10')
  history.add(20)
  history.prune(25)
  relay.setListening(true)
  await until(() => client.named('snapshot').length === 1)
  assert.equal(client.named('reset')[0]?.data.reason, 'older_than_retention')
  assert.deepEqual(client.seqs(), [30])
})

test('heartbeats contain the newest id but do not change the last id of the client', async (t) => {
  const { join } = await begin(t, 7, { heartbeatMs: 10 })
  const { client } = join('abc.7')
  await until(() => client.named('heartbeat').length >= 2)
  assert.match(client.text(), /(^|\n\n): heartbeat\n\n/)
  assert.equal(client.named('heartbeat')[0]?.data.id, 'abc.7')
  assert.deepEqual(client.seqs(), [])
})

test('a heartbeat is never written inside an event', async (t) => {
  const { history, relay, join } = await begin(t, 0, { heartbeatMs: 5 })
  const { client, connection } = join('abc.0')
  client.full = true
  history.add(1, { cause: 'x'.repeat(60_000) })
  relay.notified()
  await until(() => client.writes.length === 2)
  await until(() => history.calls.head > 0)
  await new Promise((resolve) => setTimeout(resolve, 15))
  assert.equal(client.writes.length, 2)
  client.full = false
  connection.writable()
  await until(() => client.named('app').length === 1)
  assert.deepEqual(client.seqs(), [1])
})

test('a poll returns the same events, and a reset if the client cannot resume', async (t) => {
  const { relay, history } = await begin(t, 10)
  assert.deepEqual(await relay.poll(undefined, 5), { id: 'abc.10', events: [] })
  const first = await relay.poll('abc.6', 3)
  assert.deepEqual(first, { id: 'abc.9', events: [{ seq: 7 }, { seq: 8 }, { seq: 9 }] })
  assert.deepEqual(await relay.poll('abc.10', 3), { id: 'abc.10', events: [] })
  assert.equal((await relay.poll('abc.11', 3)).reset, 'future_id')
  assert.equal((await relay.poll('old.1', 3)).reset, 'unknown_epoch')
  assert.equal((await relay.poll('', 3)).reset, 'malformed_id')
  history.prune(5)
  assert.equal((await relay.poll('abc.4', 3)).reset, 'older_than_retention')
})

test('a relay that stops ends its streams', async (t) => {
  const { relay, join } = await begin(t, 1)
  const clients = [join().client, join('abc.1').client]
  relay.stop()
  assert.ok(clients.every((client) => client.ended))
  assert.equal(relay.stats().clients, 0)
})
