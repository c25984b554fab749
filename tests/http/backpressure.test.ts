/** Tests of event stream clients that stop reading, with real sockets and an event history in memory. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createAdmission } from '../../src/http/admission.ts'
import { eventRoutes } from '../../src/http/routes/event.ts'
import { createServer } from '../../src/http/server.ts'
import { fakeHistory, parseEvents, type ReceivedEvent, silentLog, startRelay, until } from '../relay/fakes.ts'

const MEGABYTE = 1024 * 1024
const EVENT_BYTES = 2000

async function startHarness(t: { after(fn: () => unknown): void }, limits = {}) {
  const history = fakeHistory()
  const { relay, ready } = startRelay(history, { ringFrames: 100_000, ringBytes: 64 * MEGABYTE, ...limits })
  const server = createServer({
    listen: '127.0.0.1',
    port: 0,
    allowedHosts: [],
    routes: eventRoutes(relay, createAdmission()),
    log: silentLog,
  })
  const port = await server.listen()
  const sockets: Socket[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    relay.stop()
    await server.stop()
  })
  await ready()

  function join(path = '/api/events?since=abc.0') {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    const chunks: Buffer[] = []
    const state = { bytes: 0, closed: false }
    socket.on('data', (bytes) => {
      chunks.push(bytes)
      state.bytes += bytes.length
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      state.closed = true
    })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    return {
      socket,
      state,
      events: () => parseEvents(unchunk(Buffer.concat(chunks))).filter(({ event }) => event !== 'refresh'),
    }
  }

  async function flood(megabytes: number): Promise<void> {
    const goal = relay.stats().bytesSent + megabytes * MEGABYTE
    for (let sent = 0; sent < megabytes * MEGABYTE; sent += 250 * EVENT_BYTES) {
      history.add(250, { cause: 'x'.repeat(EVENT_BYTES) })
      relay.notified()
      await until(() => relay.head?.seq === history.seq)
    }
    assert.ok(goal > 0)
  }

  return { history, relay, join, flood }
}

function unchunk(answer: Buffer): string {
  const chunks: Buffer[] = []
  let at = answer.indexOf('\r\n\r\n') + 4
  for (;;) {
    const lineEnd = answer.indexOf('\r\n', at)
    if (lineEnd < 0) break
    const size = Number.parseInt(answer.toString('latin1', at, lineEnd), 16)
    assert.ok(Number.isInteger(size), `a broken chunk at ${at}`)
    chunks.push(answer.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
  return Buffer.concat(chunks).toString()
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1)
const seqs = (events: { id: string | undefined }[]) =>
  events.flatMap(({ id }) => (id ? [Number(id.split('.')[1])] : []))

test('a client that stops reading delays no other client, and later receives every event', async (t) => {
  const { history, relay, join, flood } = await startHarness(t)
  const slow = join()
  const healthy = join()
  await until(() => relay.stats().clients === 2)
  slow.socket.pause()
  await flood(24)
  await until(() => healthy.events().length === history.seq)
  assert.ok(slow.state.bytes < 12 * MEGABYTE)
  slow.socket.resume()
  await until(() => slow.events().length === history.seq)
  assert.deepEqual(seqs(slow.events()), range(history.seq))
  assert.deepEqual(seqs(healthy.events()), range(history.seq))
})

test('the rest of the backlog is sent as soon as the client reads again, before any new event', async (t) => {
  const { history, relay, join, flood } = await startHarness(t)
  const slow = join()
  await until(() => relay.stats().clients === 1)
  for (let round = 0; round < 4; round += 1) {
    slow.socket.pause()
    await flood(8)
    slow.socket.resume()
    await until(() => seqs(slow.events()).at(-1) === history.seq)
  }
  assert.deepEqual(seqs(slow.events()), range(history.seq))
})

test('a client that stopped reading uses little memory', async (t) => {
  const { relay, join, flood } = await startHarness(t)
  const readers = range(50).map(() => join())
  await until(() => relay.stats().clients === 50)
  for (const { socket } of readers) socket.pause()
  await flood(8)
  const before = relay.stats().bytesSent
  const rss = process.memoryUsage().rss
  await flood(16)
  const written = relay.stats().bytesSent - before
  assert.ok(written < 50 * 16 * MEGABYTE * 0.75, 'the relay stopped writing to full sockets')
  assert.ok(process.memoryUsage().rss - rss < 200 * MEGABYTE)
})

test('a client that reads nothing for the time limit is disconnected', async (t) => {
  const { relay, join, flood } = await startHarness(t, { stuckMs: 200 })
  const slow = join()
  const healthy = join()
  await until(() => relay.stats().clients === 2)
  slow.socket.pause()
  await flood(24)
  await until(() => relay.stats().clients === 1, 'the stuck client to be disconnected')
  assert.equal(relay.stats().stuck, 1)
  assert.equal(healthy.state.closed, false)
})

test('a client whose next event is no longer in memory receives reset and a snapshot', async (t) => {
  const { history, relay, join, flood } = await startHarness(t, { ringFrames: 600 })
  const slow = join()
  await until(() => relay.stats().clients === 1)
  slow.socket.pause()
  await flood(24)
  slow.socket.resume()
  await until(() => seqs(slow.events()).at(-1) === history.seq)
  const resets = slow.events().filter(({ event }) => event === 'reset')
  assert.ok(resets.length > 0)
  assert.ok(resets.every(({ data }) => data.reason === 'too_slow'))
  assertContinuous(slow.events())
})

/**
 * Checks that every event number follows the number before, except that of a snapshot after `reset`. A client
 * that reads slowly can receive several resets.
 */
function assertContinuous(events: ReceivedEvent[]): void {
  let last = 0
  for (const [index, { event, id }] of events.entries()) {
    if (!id) continue
    const seq = Number(id.split('.')[1])
    if (event === 'snapshot') assert.equal(events[index - 1]?.event, 'reset')
    else assert.equal(seq, last + 1)
    last = seq
  }
}

test('disconnected clients are removed from the relay', async (t) => {
  const { relay, join, history } = await startHarness(t)
  history.add(5)
  for (let round = 0; round < 10; round += 1) {
    const clients = range(50).map((number) => join(number % 2 ? '/api/events' : '/api/events?since=abc.0'))
    await until(() => clients.every((client) => client.state.bytes > 0))
    for (const { socket } of clients) socket.destroy()
  }
  await until(() => relay.stats().clients === 0)
  assert.equal(relay.stats().waiting, 0)
})
