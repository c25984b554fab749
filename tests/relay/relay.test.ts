/**
 * Tests of the relay's event stream: snapshots (status of all apps), events, and a database that is
 * unreachable or restored from a backup.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { begin, fakeHistory, range, startRelay, until } from './fakes.ts'

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

test('events that are read during the read of an older snapshot follow that snapshot', async (t) => {
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

test('many events at the same time are one write for each client', async (t) => {
  const { history, relay, join } = await begin(t, 0, { flushMs: 2000, longestFlushMs: 2000 })
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

test('a lost notification delays events but loses no event', async (t) => {
  const { history, join } = await begin(t, 0, { tickMs: 20, degradedTickMs: 20 })
  const { client } = join('abc.0')
  history.add(3)
  await until(() => client.seqs().length === 3)
})

test('without a database clients stay connected, receive stale, and catch up later', async (t) => {
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

test('a single failed read is repeated, and clients receive no stale', async (t) => {
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

test('a client that connects during a database outage receives its events after the outage', async (t) => {
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
  const { head } = history.source
  history.source.head = async () => {
    const found = await head()
    if (history.epoch === 'abc') history.restore('new', 12)
    return found
  }
  relay.setListening(true)
  await until(() => client.named('snapshot').length === 1)
  assert.deepEqual(
    client.events().map(({ event, id }) => [event, id]),
    [
      ['reset', undefined],
      ['snapshot', 'new.12'],
    ],
  )
})

test('a snapshot of a new epoch is sent only when the relay reads the events of that epoch', async (t) => {
  const { history, relay, join } = await begin(t, 10)
  history.restore('new', 4)
  const { client } = join()
  await until(() => client.named('snapshot').length === 1)
  assert.equal(client.named('snapshot')[0]?.id, 'new.4')
  assert.deepEqual([relay.head?.epoch, relay.head?.seq], ['new', 4])
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

test('events pruned between the reads of the head and of the events cause a reset', async (t) => {
  const { history, relay, join } = await begin(t, 10)
  const { client } = join('abc.10')
  const { head } = history.source
  let pruned = false
  history.source.head = async () => {
    const found = await head()
    if (!pruned) {
      history.add(20)
      history.prune(25)
    }
    pruned = true
    return found
  }
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

test('a poll returns the events of the stream, and a reset if the client cannot resume', async (t) => {
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
