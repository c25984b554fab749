/** Tests of full clients: clients that read too slowly, so that their connections accept no more data. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNK_BYTES } from '../../src/relay/sendqueue.ts'
import { begin, range, until } from './fakes.ts'

test('nothing is written to a full client, and the client continues without a gap afterwards', async (t) => {
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

// uWebSockets.js sends its buffered bytes only with the next write, so the relay writes a comment (`:`).
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

test('a client that is full for too long is closed, and the other clients stay connected', async (t) => {
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

test('heartbeats are not queued for a full client', async (t) => {
  const { history, relay, join } = await begin(t, 0, { heartbeatMs: 5 })
  const [full, healthy] = [join('abc.0'), join('abc.0')]
  const greeted = full.client.writes.length
  full.client.full = true
  history.add()
  relay.notified()
  // The last write that the client accepts is the event or a heartbeat that comes before it.
  await until(() => full.client.writes.length > greeted && relay.head?.seq === 1)
  const before = full.client.named('heartbeat').length
  healthy.client.writes.length = 0
  await until(() => healthy.client.named('heartbeat').length >= 5)
  full.client.full = false
  full.connection.writable()
  assert.equal(full.client.named('heartbeat').length, before)
  await until(() => full.client.named('app').length === 1)
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
