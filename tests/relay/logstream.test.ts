import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createLogStreams,
  type LogForm,
  type LogLimits,
  SSE_LOG,
  TEXT_LOG,
} from '../../src/relay/logstream.ts'
import { fakeClient, range, silentLog, until } from './fakes.ts'

function begin(t: { after(fn: () => void): void }, count: number, limits: Partial<LogLimits> = {}) {
  const lines: { line_no: number; at: string; line: string }[] = []
  const state = { over: false, queries: 0, down: false, beforeIsOver: () => {} }
  const add = (more: number) => {
    for (let added = 0; added < more; added += 1) {
      const line_no = lines.length + 1
      lines.push({ line_no, at: '2026-01-01T00:00:00Z', line: `line ${line_no}` })
    }
  }
  add(count)
  const logs = createLogStreams({
    log: silentLog,
    limits: { tickMs: 60_000, heartbeatMs: 60_000, readLines: 10, ...limits },
    source: {
      async operationLog(_, after, limit) {
        state.queries += 1
        if (state.down) throw new Error('the database is unreachable')
        await new Promise((resolve) => setImmediate(resolve))
        return lines.filter((line) => line.line_no > after).slice(0, limit)
      },
      async isOver() {
        state.beforeIsOver()
        return state.over
      },
    },
  })
  logs.start()
  t.after(logs.stop)
  const join = (form: LogForm, after = 0) => {
    const client = fakeClient()
    return { client, connection: logs.open(client.sink, 1, after, form) }
  }
  return { state, add, logs, join }
}

const numbers = (client: ReturnType<typeof fakeClient>) => client.named('line').map(({ id }) => Number(id))

test('a reader receives the present lines, then each new line, then the end', async (t) => {
  const { state, add, logs, join } = begin(t, 35)
  const { client } = join(SSE_LOG)
  await until(() => numbers(client).length === 35)
  add(3)
  logs.notified()
  await until(() => numbers(client).length === 38)
  assert.equal(client.ended, false)
  add(2)
  state.over = true
  logs.notified()
  await until(() => client.ended)
  assert.deepEqual(numbers(client), range(1, 40))
  assert.equal(client.events().at(-1)?.event, 'end')
  assert.equal(logs.size, 0)
})

test('the last line is sent even if the operation ends during a read', async (t) => {
  const { state, add, logs, join } = begin(t, 1)
  const { client } = join(SSE_LOG)
  await until(() => numbers(client).length === 1)
  state.beforeIsOver = () => {
    if (!state.over) add(1)
    state.over = true
  }
  logs.notified()
  await until(() => client.ended)
  assert.deepEqual(numbers(client), [1, 2])
})

test('a reader that reconnects continues after its last line', async (t) => {
  const { state, join } = begin(t, 25)
  state.over = true
  const { client } = join(SSE_LOG, 20)
  await until(() => client.ended)
  assert.deepEqual(numbers(client), range(21, 25))
})

test('a log as text contains the present lines and then ends', async (t) => {
  const { join } = begin(t, 12)
  const { client } = join(TEXT_LOG)
  await until(() => client.ended)
  assert.equal(
    client.text(),
    range(1, 12)
      .map((number) => `line ${number}\n`)
      .join(''),
  )
})

test('no lines are read for a full reader, and the reader receives the rest once writable again', async (t) => {
  const { state, join } = begin(t, 100)
  state.over = true
  const { client, connection } = join(TEXT_LOG)
  client.full = true
  await until(() => client.writes.length === 1)
  assert.equal(state.queries, 1)
  client.full = false
  connection.writable()
  await until(() => client.ended)
  assert.equal(client.text().split('\n').length, 101)
  assert.ok(!client.text().includes(':\n'), 'no comment in the middle of text')
})

test('a lost notification only delays a log', async (t) => {
  const { add, join } = begin(t, 1, { tickMs: 20 })
  const { client } = join(SSE_LOG)
  await until(() => numbers(client).length === 1)
  add(1)
  await until(() => numbers(client).length === 2)
})

test('a log continues after failed reads', async (t) => {
  const { state, add, logs, join } = begin(t, 1, { retryMs: 5 })
  const { client } = join(SSE_LOG)
  await until(() => numbers(client).length === 1)
  state.down = true
  logs.notified()
  await until(() => state.queries === 4)
  state.down = false
  add(1)
  await until(() => numbers(client).length === 2)
})

test('a hundred readers at the same line cost one query', async (t) => {
  const { state, add, logs, join } = begin(t, 1)
  const clients = range(1, 100).map(() => join(SSE_LOG).client)
  await until(() => clients.every((client) => numbers(client).length === 1))
  const before = state.queries
  add(1)
  logs.notified()
  await until(() => clients.every((client) => numbers(client).length === 2))
  assert.equal(state.queries - before, 1)
})

test('a reader that is full for too long is closed', async (t) => {
  const { logs, join } = begin(t, 100, { stuckMs: 30 })
  const { client } = join(SSE_LOG)
  client.full = true
  await until(() => client.closed)
  assert.equal(logs.size, 0)
})
