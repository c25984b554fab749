/**
 * Tests of the page's event stream with a fake EventSource, and of polling while no event stream can be
 * opened.
 */
import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'
import { OPEN_LIMIT_MS, SILENCE_MS } from '../../public/net/connection.js'
import { createStream, FIRST_BLOCK_MS } from '../../public/net/stream.js'
import type { Message } from '../../public/types.js'

class FakeSource extends EventTarget {
  static readonly CLOSED = 2
  static all: FakeSource[] = []
  static get last() {
    return FakeSource.all.at(-1) as FakeSource
  }
  readyState = 0
  readonly url: string
  constructor(url: string) {
    super()
    this.url = url
    FakeSource.all.push(this)
  }
  close() {
    this.readyState = 2
  }
  open() {
    this.readyState = 1
    this.dispatchEvent(new Event('open'))
  }
  send(type: string, data: unknown, lastEventId = '') {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data), lastEventId }))
  }
  fail(readyState: 0 | 2) {
    this.readyState = readyState
    this.dispatchEvent(new Event('error'))
  }
}

const unreachable = () => Promise.reject(new Error('the agent does not respond'))

function startStream(options: { events?: unknown[]; mayStream?: () => boolean } = {}) {
  const messages: Message[] = []
  const wakeTarget = new EventTarget()
  const polls: string[] = []
  const fetchEvents = (after: string) => {
    polls.push(after)
    const next = options.events?.shift()
    return next ? Promise.resolve(next as never) : unreachable()
  }
  const stream = createStream({
    onMessage: (message) => messages.push(message),
    Source: FakeSource as unknown as typeof EventSource,
    wakeTargets: [wakeTarget],
    random: () => 1,
    ...(options.mayStream ? { mayStream: options.mayStream } : {}),
    polling: { fetchEvents, fetchStatus: unreachable },
  })
  stream.start()
  const state = () =>
    messages.flatMap((message) => (message.type === 'connection' ? [message.state] : [])).at(-1)
  return { messages, wakeTarget, stream, state, polls }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

function resetFakes() {
  FakeSource.all = []
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
}

beforeEach(resetFakes)

test('the stream is live once it is open, and requests the missed events when it opens again', () => {
  const { state } = startStream()
  assert.equal(FakeSource.last.url, '/api/events')
  FakeSource.last.open()
  FakeSource.last.send('app', { seq: 8 }, 'e.8')
  assert.equal(state(), 'live')
  FakeSource.last.fail(2)
  assert.equal(state(), 'reconnecting')
  mock.timers.tick(500)
  assert.equal(FakeSource.last.url, '/api/events?since=e.8')
  FakeSource.last.open()
  assert.equal(state(), 'live')
})

test('the stream lets the browser reconnect by itself, up to the time limit', () => {
  startStream()
  FakeSource.last.open()
  FakeSource.last.fail(0)
  assert.equal(FakeSource.all.length, 1)
  mock.timers.tick(OPEN_LIMIT_MS)
  mock.timers.tick(500)
  assert.equal(FakeSource.all.length, 2)
})

test('the stream doubles its delay after each failure, and starts over after a success', () => {
  startStream()
  const delays = [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]
  for (const delay of delays) {
    const before = FakeSource.all.length
    FakeSource.last.fail(2)
    mock.timers.tick(delay - 1)
    assert.equal(FakeSource.all.length, before, `${delay} ms`)
    mock.timers.tick(1)
    assert.equal(FakeSource.all.length, before + 1, `${delay} ms`)
  }
  FakeSource.last.open()
  FakeSource.last.fail(2)
  mock.timers.tick(500)
  assert.equal(FakeSource.all.length, delays.length + 2)
})

test('the stream is replaced after silence, and stays live if the new connection works', () => {
  const { state } = startStream()
  FakeSource.last.open()
  FakeSource.last.send('snapshot', { apps: [] }, 'e.3')
  mock.timers.tick(SILENCE_MS - 1)
  FakeSource.last.send('heartbeat', {}, 'e.3')
  mock.timers.tick(SILENCE_MS - 1)
  assert.equal(FakeSource.all.length, 1)
  mock.timers.tick(1)
  const { last, all } = FakeSource
  assert.deepEqual([all.length, last.url, state()], [2, '/api/events?since=e.3', 'live'])
  mock.timers.tick(OPEN_LIMIT_MS)
  assert.equal(state(), 'reconnecting')
})

test('the stream ignores the messages of a replaced connection', () => {
  const { messages } = startStream()
  const old = FakeSource.last
  old.open()
  mock.timers.tick(SILENCE_MS)
  const before = messages.length
  old.send('app', { seq: 9 }, 'e.9')
  old.fail(2)
  assert.equal(messages.length, before)
})

test('the stream reconnects at once when the machine wakes', () => {
  const { wakeTarget } = startStream()
  FakeSource.last.open()
  wakeTarget.dispatchEvent(new Event('visibilitychange'))
  assert.equal(FakeSource.all.length, 1)
  // Advances the clock without running timers, because no timer runs while the machine sleeps.
  mock.timers.setTime(SILENCE_MS + 1)
  wakeTarget.dispatchEvent(new Event('online'))
  assert.equal(FakeSource.all.length, 2)
})

test('the stream has no cursor after a reset', () => {
  const { stream } = startStream()
  FakeSource.last.open()
  FakeSource.last.send('app', { seq: 8 }, 'e.8')
  FakeSource.last.send('reset', { reason: 'unknown_epoch' }, 'e.8')
  assert.equal(stream.lastId(), '')
  FakeSource.last.send('snapshot', { apps: [] }, 'f.2')
  assert.equal(stream.lastId(), 'f.2')
})

test('the stream is not live while the agent reports that its data is stale', () => {
  const { messages, state } = startStream()
  FakeSource.last.open()
  const before = messages.length
  FakeSource.last.send('stale', { since: '2026-01-01T00:00:00Z' })
  assert.deepEqual(
    messages.slice(before).map((message) => message.type),
    ['stale'],
  )
  FakeSource.last.send('heartbeat', {})
  assert.equal(state(), 'live')
})

test('the stream begins after the last event that the page already has', () => {
  const stream = createStream({ onMessage() {}, Source: FakeSource as unknown as typeof EventSource })
  stream.start('e.12')
  assert.equal(FakeSource.last.url, '/api/events?since=e.12')
})

test('the page polls while a proxy blocks the stream, and tries the stream again later', async () => {
  const response = (seq: number) => ({ id: `e.${seq}`, events: [{ seq }] })
  const events = [response(6), { id: 'e.6', events: [] }]
  const { state, stream, polls, messages } = startStream({ events })
  FakeSource.last.open()
  FakeSource.last.send('app', { seq: 5 }, 'e.5')
  mock.timers.tick(SILENCE_MS)
  const blocked = FakeSource.all.length
  FakeSource.last.open()
  mock.timers.tick(OPEN_LIMIT_MS + SILENCE_MS / 4)
  await settled()
  assert.deepEqual([polls, state(), stream.lastId()], [['e.5'], 'polling', 'e.6'])
  assert.equal(messages.filter((message) => message.type === 'app').length, 2)
  assert.equal(FakeSource.all.length, blocked, 'no stream during the pause')
  mock.timers.tick(FIRST_BLOCK_MS)
  await settled()
  assert.equal(FakeSource.last.url, '/api/events?since=e.6')
  FakeSource.last.open()
  FakeSource.last.send('heartbeat', {})
  assert.equal(state(), 'live')
})

test('the page polls while other windows need the connections, and streams when they are closed', async () => {
  let mayStream = true
  const events = [{ id: 'e.5', events: [] }]
  const { state, stream, polls } = startStream({ events, mayStream: () => mayStream })
  FakeSource.last.open()
  FakeSource.last.send('snapshot', { apps: [] }, 'e.5')
  mayStream = false
  stream.sync()
  await settled()
  assert.deepEqual([FakeSource.last.readyState, polls, state()], [2, ['e.5'], 'polling'])
  mayStream = true
  stream.sync()
  assert.equal(FakeSource.last.url, '/api/events?since=e.5')
  assert.equal(FakeSource.last.readyState, 0)
})
