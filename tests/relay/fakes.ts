/**
 * Provides a fake event history and fake clients, for tests of the relay without a database and a network.
 */

import type { TestContext } from 'node:test'
import { createRelay, type RelayLimits } from '../../src/relay/relay.ts'
import type { Sink } from '../../src/relay/sendqueue.ts'
import type { StreamEvent, StreamSource } from '../../src/relay/streamsource.ts'

export const silentLog = { debug() {}, info() {}, warn() {}, error() {} }

const WAIT_LIMIT_MS = 60_000

export async function until(condition: () => boolean, purpose = 'the condition'): Promise<void> {
  const deadline = performance.now() + WAIT_LIMIT_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${WAIT_LIMIT_MS} ms for ${purpose}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

type Row = Omit<StreamEvent, 'epoch' | 'pruned_to'>

export function fakeHistory() {
  let rows: Row[] = []
  const row = (seq: number, more: object = {}): Row => ({
    ...more,
    seq,
    json: JSON.stringify({ seq, ...more }),
  })
  const calls = { head: 0, streamAfter: 0, snapshot: 0 }
  const readsAfter: number[] = []
  const history = {
    epoch: 'abc',
    prunedTo: 0,
    down: false,
    calls,
    readsAfter,
    add(count = 1, more: object = {}): void {
      for (let added = 0; added < count; added += 1) rows.push(row(history.seq + 1, more))
    },
    /**
     * Replaces the history by events with these numbers. In PostgreSQL, a rolled-back transaction leaves a
     * gap between the numbers.
     */
    set(seqs: number[]): void {
      rows = seqs.map((seq) => row(seq))
    },
    prune(to: number): void {
      rows = rows.filter((row) => row.seq > to)
      history.prunedTo = to
    },
    /**
     * Replaces the history by `count` events with another epoch (id of the history), as the restore of a
     * backup does.
     */
    restore(epoch: string, count: number): void {
      history.epoch = epoch
      history.prunedTo = 0
      rows = []
      history.add(count)
    },
    get seq(): number {
      return rows.at(-1)?.seq ?? history.prunedTo
    },
    queries: () => calls.head + calls.streamAfter + calls.snapshot,
    source: undefined as unknown as StreamSource,
  }
  async function answer<T>(name: keyof typeof calls, value: () => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve))
    calls[name] += 1
    if (history.down) throw new Error('the database is unreachable')
    return value()
  }
  history.source = {
    head: () =>
      answer('head', () => ({ epoch: history.epoch, seq: history.seq, prunedTo: history.prunedTo })),
    streamAfter(seq, limit) {
      readsAfter.push(seq)
      return answer('streamAfter', () =>
        rows
          .filter((row) => row.seq > seq)
          .slice(0, limit)
          .map((row) => ({ ...row, epoch: history.epoch, pruned_to: history.prunedTo })),
      )
    },
    snapshot: () =>
      answer('snapshot', () => ({ epoch: history.epoch, seq: history.seq, apps: [{ at: history.seq }] })),
  }
  return history
}

export type History = ReturnType<typeof fakeHistory>

export interface ReceivedEvent {
  event: string
  id: string | undefined
  data: { id?: string; reason?: string; seq?: number; apps?: { at: number }[] }
}

export function parseEvents(text: string): ReceivedEvent[] {
  const blocks = text.split('\n\n').slice(0, -1)
  return blocks.flatMap((block) => {
    const fields = block.split('\n').map((line) => /^([a-z]*): ?(.*)$/.exec(line))
    const field = (name: string) => fields.find((match) => match?.[1] === name)?.[2]
    const event = field('event')
    return event ? [{ event, id: field('id'), data: JSON.parse(field('data') ?? '{}') }] : []
  })
}

/**
 * Creates a client that records all writes. A test sets `full` to simulate a client that reads too slowly.
 */
export function fakeClient() {
  const writes: string[] = []
  const sizes: number[] = []
  const client = {
    writes,
    sizes,
    full: false,
    ended: false,
    closed: false,
    text: () => writes.join(''),
    events: () => parseEvents(client.text()),
    named: (name: string) => client.events().filter((received) => received.event === name),
    seqs: () => client.events().flatMap(({ id }) => (id === undefined ? [] : [Number(id.split('.')[1])])),
    sink: undefined as unknown as Sink,
  }
  const decoder = new TextDecoder()
  client.sink = {
    write(chunk) {
      sizes.push(chunk.length)
      writes.push(decoder.decode(chunk, { stream: true }))
      return !client.full
    },
    end() {
      client.ended = true
    },
    close() {
      client.closed = true
    },
  }
  return client
}

/**
 * Starts a relay that reads from `history`. By default, the intervals of its periodic timers are so long that
 * no timer runs during a test.
 */
export function startRelay(history: History, limits: Partial<RelayLimits> = {}) {
  const relay = createRelay({
    source: history.source,
    log: silentLog,
    limits: {
      heartbeatMs: 60_000,
      tickMs: 60_000,
      degradedTickMs: 60_000,
      refreshMs: 60_000,
      flushMs: 2,
      ...limits,
    },
  })
  relay.start()
  relay.setListening(true)
  return {
    relay,
    join(lastId?: string) {
      const client = fakeClient()
      return { ...client, client, connection: relay.open(client.sink, lastId) }
    },
    ready: () =>
      until(
        // The head is read at the start, and again because the relay begins to listen.
        () => !relay.stale && relay.head?.seq === history.seq && history.calls.head >= 2,
        'the relay to read the history',
      ),
  }
}

export async function begin(t: TestContext, events: number, limits: Partial<RelayLimits> = {}) {
  const history = fakeHistory()
  history.add(events)
  const started = startRelay(history, limits)
  t.after(started.relay.stop)
  await started.ready()
  return { history, ...started }
}

export const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
