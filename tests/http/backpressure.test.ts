/** Readers that do not read, over real sockets. The history is in memory, as it takes megabytes to fill a socket. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createAdmission } from '../../src/http/admission.ts'
import { eventRoutes } from '../../src/http/routes/event.ts'
import { createServer } from '../../src/http/server.ts'
import { fakeHistory, parseEvents, silentLog, startRelay, until } from '../relay/fakes.ts'

const MEGABYTE = 1024 * 1024
const EVENT_BYTES = 2000

async function begin(t: { after(fn: () => unknown): void }, limits = {}) {
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

  /** A client that collects what it is sent, when it reads. */
  function join(path = '/api/events?since=abc.0') {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    const pieces: Buffer[] = []
    const state = { bytes: 0, closed: false }
    socket.on('data', (bytes) => {
      pieces.push(bytes)
      state.bytes += bytes.length
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      state.closed = true
    })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    return { socket, state, events: () => parseEvents(unchunk(Buffer.concat(pieces))) }
  }

  /** Appends events of about 2 kB until a reader that does not read must be full. */
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

/** The body of an answer in chunks. */
function unchunk(answer: Buffer): string {
  const pieces: Buffer[] = []
  let at = answer.indexOf('\r\n\r\n') + 4
  for (;;) {
    const lineEnd = answer.indexOf('\r\n', at)
    if (lineEnd < 0) break
    const size = Number.parseInt(answer.toString('latin1', at, lineEnd), 16)
    assert.ok(Number.isInteger(size), `a broken chunk at ${at}`)
    pieces.push(answer.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
  return Buffer.concat(pieces).toString()
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1)
const seqs = (events: { id: string | undefined }[]) =>
  events.flatMap(({ id }) => (id ? [Number(id.split('.')[1])] : []))

test('a reader that stops reading holds nobody up, and ends with every event once it reads again', async (t) => {
  const { history, relay, join, flood } = await begin(t)
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

test('the end of what a reader missed comes at once when it reads again, not with the next event', async (t) => {
  const { history, relay, join, flood } = await begin(t)
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

test('the memory for a reader that stopped reading stays small', async (t) => {
  const { relay, join, flood } = await begin(t)
  const readers = range(50).map(() => join())
  await until(() => relay.stats().clients === 50)
  for (const { socket } of readers) socket.pause()
  await flood(8)
  const before = relay.stats().bytesSent
  const rss = process.memoryUsage().rss
  await flood(16)
  const written = relay.stats().bytesSent - before
  assert.ok(written < 50 * 16 * MEGABYTE * 0.75, 'it was not written to all the time')
  assert.ok(process.memoryUsage().rss - rss < 200 * MEGABYTE)
})

test('a reader that stays stopped is closed after its time', async (t) => {
  const { relay, join, flood } = await begin(t, { stuckMs: 200 })
  const slow = join()
  const healthy = join()
  await until(() => relay.stats().clients === 2)
  slow.socket.pause()
  await flood(24)
  await until(() => relay.stats().clients === 1, 'the stuck reader to be closed')
  assert.equal(relay.stats().stuck, 1)
  assert.equal(healthy.state.closed, false)
})

test('a reader that fell behind what is kept is told so, and gets a snapshot', async (t) => {
  const { history, relay, join, flood } = await begin(t, { ringFrames: 600 })
  const slow = join()
  await until(() => relay.stats().clients === 1)
  slow.socket.pause()
  await flood(24)
  slow.socket.resume()
  await until(() => slow.events().at(-1)?.event === 'snapshot')
  const events = slow.events()
  assert.equal(events.at(-2)?.data.reason, 'too_slow')
  const ids = seqs(events)
  assert.deepEqual(ids.slice(0, -1), range(ids.length - 1))
  assert.equal(ids.at(-1), history.seq)
})

test('clients that come and go leave nothing behind', async (t) => {
  const { relay, join, history } = await begin(t)
  history.add(5)
  for (let round = 0; round < 10; round += 1) {
    const crowd = range(50).map((one) => join(one % 2 ? '/api/events' : '/api/events?since=abc.0'))
    await until(() => crowd.every((client) => client.state.bytes > 0))
    for (const { socket } of crowd) socket.destroy()
  }
  await until(() => relay.stats().clients === 0)
  assert.equal(relay.stats().waiting, 0)
})
