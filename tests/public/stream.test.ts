import assert from 'node:assert/strict'
import { beforeEach, describe, it, mock } from 'node:test'
import { createStream, FIRST_MUTE_MS, OPEN_LIMIT_MS, SILENCE_MS } from '../../public/net/stream.js'
import type { Message } from '../../public/types.js'

/** The browser's EventSource, moved by hand. */
class Wire extends EventTarget {
  static readonly CLOSED = 2
  static all: Wire[] = []
  static get last() {
    return Wire.all.at(-1) as Wire
  }
  readyState = 0
  readonly url: string
  constructor(url: string) {
    super()
    this.url = url
    Wire.all.push(this)
  }
  close() {
    this.readyState = 2
  }
  opens() {
    this.readyState = 1
    this.dispatchEvent(new Event('open'))
  }
  says(type: string, data: unknown, lastEventId = '') {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data), lastEventId }))
  }
  breaks(readyState: 0 | 2) {
    this.readyState = readyState
    this.dispatchEvent(new Event('error'))
  }
}

const nobody = () => Promise.reject(new Error('nobody answers'))

function follow(answers: { events?: unknown[]; mayHold?: () => boolean } = {}) {
  const heard: Message[] = []
  const waker = new EventTarget()
  const asked: string[] = []
  const askEvents = (after: string) => {
    asked.push(after)
    const next = answers.events?.shift()
    return next ? Promise.resolve(next as never) : nobody()
  }
  const stream = createStream({
    onMessage: (message) => heard.push(message),
    Source: Wire as unknown as typeof EventSource,
    wakers: [waker],
    random: () => 1,
    ...(answers.mayHold ? { mayHold: answers.mayHold } : {}),
    polling: { askEvents, askStatus: nobody },
  })
  stream.start()
  const state = () =>
    heard.flatMap((message) => (message.type === 'connection' ? [message.state] : [])).at(-1)
  return { heard, waker, stream, state, asked }
}

/** Promises that are already answered have been acted on. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the stream', () => {
  beforeEach(() => {
    Wire.all = []
    mock.timers.reset()
    mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  })

  it('is live once it is open, and asks for what it missed when it opens again', () => {
    const { state } = follow()
    assert.equal(Wire.last.url, '/api/events')
    Wire.last.opens()
    Wire.last.says('app', { seq: 8 }, 'e.8')
    assert.equal(state(), 'live')
    Wire.last.breaks(2)
    assert.equal(state(), 'reconnecting')
    mock.timers.tick(500)
    assert.equal(Wire.last.url, '/api/events?since=e.8')
    Wire.last.opens()
    assert.equal(state(), 'live')
  })

  it('lets the browser try again by itself, but not for ever', () => {
    follow()
    Wire.last.opens()
    Wire.last.breaks(0)
    assert.equal(Wire.all.length, 1)
    mock.timers.tick(OPEN_LIMIT_MS)
    mock.timers.tick(500)
    assert.equal(Wire.all.length, 2)
  })

  it('waits longer each time nobody answers, and starts over after an answer', () => {
    follow()
    const waits = [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]
    for (const wait of waits) {
      const before = Wire.all.length
      Wire.last.breaks(2)
      mock.timers.tick(wait - 1)
      assert.equal(Wire.all.length, before, `${wait} ms`)
      mock.timers.tick(1)
      assert.equal(Wire.all.length, before + 1, `${wait} ms`)
    }
    Wire.last.opens()
    Wire.last.breaks(2)
    mock.timers.tick(500)
    assert.equal(Wire.all.length, waits.length + 2)
  })

  it('notices silence, and says nothing when a fresh line is fine', () => {
    const { state } = follow()
    Wire.last.opens()
    Wire.last.says('snapshot', { apps: [] }, 'e.3')
    mock.timers.tick(SILENCE_MS - 1)
    Wire.last.says('heartbeat', {}, 'e.3')
    mock.timers.tick(SILENCE_MS - 1)
    assert.equal(Wire.all.length, 1)
    mock.timers.tick(1)
    assert.deepEqual([Wire.all.length, Wire.last.url, state()], [2, '/api/events?since=e.3', 'live'])
    mock.timers.tick(OPEN_LIMIT_MS)
    assert.equal(state(), 'reconnecting')
  })

  it('hears nothing from a line it has replaced', () => {
    const { heard } = follow()
    const old = Wire.last
    old.opens()
    mock.timers.tick(SILENCE_MS)
    const before = heard.length
    old.says('app', { seq: 9 }, 'e.9')
    old.breaks(2)
    assert.equal(heard.length, before)
  })

  it('catches up at once when the machine wakes', () => {
    const { waker } = follow()
    Wire.last.opens()
    waker.dispatchEvent(new Event('visibilitychange'))
    assert.equal(Wire.all.length, 1)
    // A frozen page: time went by, its timers did not.
    mock.timers.setTime(SILENCE_MS + 1)
    waker.dispatchEvent(new Event('online'))
    assert.equal(Wire.all.length, 2)
  })

  it('after a reset asks for nothing it had before', () => {
    const { stream } = follow()
    Wire.last.opens()
    Wire.last.says('app', { seq: 8 }, 'e.8')
    Wire.last.says('reset', { reason: 'unknown_epoch' }, 'e.8')
    assert.equal(stream.lastId(), '')
    Wire.last.says('snapshot', { apps: [] }, 'f.2')
    assert.equal(stream.lastId(), 'f.2')
  })

  it('an open line without news is not called live', () => {
    const { heard, state } = follow()
    Wire.last.opens()
    const before = heard.length
    Wire.last.says('stale', { since: '2026-01-01T00:00:00Z' })
    assert.deepEqual(
      heard.slice(before).map((message) => message.type),
      ['stale'],
    )
    Wire.last.says('heartbeat', {})
    assert.equal(state(), 'live')
  })

  it('that never says a word is held back on its way: the page asks, and tries again later', async () => {
    const answer = (seq: number) => ({ id: `e.${seq}`, events: [{ seq }] })
    const { state, stream, asked, heard } = follow({ events: [answer(6), { id: 'e.6', events: [] }] })
    Wire.last.opens()
    Wire.last.says('app', { seq: 5 }, 'e.5')
    mock.timers.tick(SILENCE_MS)
    const muted = Wire.all.length
    Wire.last.opens()
    mock.timers.tick(OPEN_LIMIT_MS + SILENCE_MS / 4)
    await settled()
    assert.deepEqual([asked, state(), stream.lastId()], [['e.5'], 'polling', 'e.6'])
    assert.equal(heard.filter((message) => message.type === 'app').length, 2)
    assert.equal(Wire.all.length, muted, 'no stream while it is muted')
    mock.timers.tick(FIRST_MUTE_MS)
    await settled()
    assert.equal(Wire.last.url, '/api/events?since=e.6')
    Wire.last.opens()
    Wire.last.says('heartbeat', {})
    assert.equal(state(), 'live')
  })

  it('is left to other windows while they need it, and taken when they are gone', async () => {
    let mayHold = true
    const { state, stream, asked } = follow({ events: [{ id: 'e.5', events: [] }], mayHold: () => mayHold })
    Wire.last.opens()
    Wire.last.says('snapshot', { apps: [] }, 'e.5')
    mayHold = false
    stream.tune()
    await settled()
    assert.deepEqual([Wire.last.readyState, asked, state()], [2, ['e.5'], 'polling'])
    mayHold = true
    stream.tune()
    assert.equal(Wire.last.url, '/api/events?since=e.5')
    assert.equal(Wire.last.readyState, 0)
  })

  it('begins after what is already here', () => {
    const stream = createStream({ onMessage() {}, Source: Wire as unknown as typeof EventSource })
    stream.start('e.12')
    assert.equal(Wire.last.url, '/api/events?since=e.12')
  })
})
