/** Tests of the event stream over HTTP, with a real database. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { until } from '../relay/fakes.ts'
import { startProxy } from '../relay/proxy.ts'
import { startAgent, untilOk, untilReady } from './support.ts'

type Agent = Awaited<ReturnType<typeof startAgent>>

async function addTransitions(agent: Agent, app = 'alpha'): Promise<void> {
  await agent.admin.query('select bloud.install($1)', [app])
  await agent.admin.query('select bloud.cancel($1)', [app])
}

const seqs = (events: { id: string | undefined }[]) =>
  events.flatMap(({ id }) => (id ? [Number(id.split('.')[1])] : []))
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

test('curl receives the snapshot and then each transition with its id, once and in order', async (t) => {
  const agent = await startAgent(t)
  await addTransitions(agent)
  const curl = spawn('curl', ['-sN', `${agent.url}/api/events`])
  t.after(() => curl.kill())
  let text = ''
  curl.stdout.on('data', (bytes) => {
    text += bytes
  })
  await until(() => text.includes('event: snapshot'), 'the snapshot')
  await addTransitions(agent, 'beta')
  await until(() => text.includes('.4\n'), 'the fourth event')
  assert.match(text, /^retry: \d+\n\n/)
  assert.deepEqual(
    [...text.matchAll(/^id: \w+\.(\d+)$/gm)].map((match) => Number(match[1])),
    [2, 3, 4],
  )
  assert.deepEqual(
    [...text.matchAll(/"to_status":"(\w+)"/g)].map((match) => match[1]),
    ['queued', 'failed'],
  )
})

test('the headers of the stream forbid caches and buffering proxies', async (t) => {
  const agent = await startAgent(t)
  const { answer } = await agent.stream()
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(answer.headers.get('x-accel-buffering'), 'no')
})

test('an event contains the app after the transition, and the transition', async (t) => {
  const agent = await startAgent(t)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  await agent.post('/api/apps/alpha/install')
  await stream.until(() => stream.named('app').length === 1)
  const data = stream.named('app')[0]?.data as Record<string, unknown>
  assert.deepEqual(
    [data.name, data.status, data.from_status, data.to_status, data.origin, data.operation_id, data.port],
    ['alpha', 'queued', null, 'queued', 'api', 1, 8001],
  )
  const [installed] = await (await agent.get('/api/apps/installed')).json()
  for (const [column, value] of Object.entries(installed)) assert.deepEqual(data[column], value, column)
})

test('a reconnected client receives the missed events; the id in the header takes precedence', async (t) => {
  const agent = await startAgent(t)
  for (const app of ['alpha', 'beta', 'gamma']) await addTransitions(agent, app)
  const { id } = await (await agent.get('/api/status')).json()
  const epoch = id.split('.')[0]
  const since = await agent.stream(`/api/events?since=${epoch}.2`)
  await since.until(() => seqs(since.events()).length === 4)
  assert.deepEqual(seqs(since.events()), [3, 4, 5, 6])
  const header = await agent.stream(`/api/events?since=${epoch}.2`, { 'last-event-id': `${epoch}.5` })
  await header.until(() => header.named('app').length === 1)
  assert.deepEqual(seqs(header.events()), [6])
})

for (const [id, reason] of [
  ['nonsense', 'malformed_id'],
  ['0123456789ab.1', 'unknown_epoch'],
  ['EPOCH.9', 'future_id'],
] as const) {
  test(`the stream for the id ${id} begins with reset and a snapshot`, async (t) => {
    const agent = await startAgent(t)
    await addTransitions(agent)
    const epoch = (await (await agent.get('/api/status')).json()).id.split('.')[0]
    const stream = await agent.stream('/api/events', { 'last-event-id': id.replace('EPOCH', epoch) })
    await stream.until(() => stream.named('snapshot').length === 1)
    assert.deepEqual(
      stream
        .events()
        .map((event) => event.event)
        .slice(0, 2),
      ['reset', 'snapshot'],
    )
    assert.equal(stream.named('reset')[0]?.data.reason, reason)
    assert.deepEqual(seqs(stream.events()), [2])
  })
}

test('polling returns the same events as JSON', async (t) => {
  const agent = await startAgent(t)
  await addTransitions(agent)
  const begin = await (await agent.get('/api/events', { accept: 'application/json' })).json()
  assert.deepEqual(begin.events, [])
  await addTransitions(agent, 'beta')
  const next = await (await agent.get(`/api/events?after=${begin.id}&limit=1`)).json()
  assert.deepEqual(
    next.events.map((event: { seq: number }) => event.seq),
    [3],
  )
  const last = await (await agent.get(`/api/events?after=${next.id}`)).json()
  assert.deepEqual(
    last.events.map((event: { seq: number }) => event.seq),
    [4],
  )
  const stream = await agent.stream(`/api/events?since=${begin.id}`)
  await stream.until(() => stream.named('app').length === 2)
  assert.deepEqual(
    stream.named('app').map((event) => event.data),
    [...next.events, ...last.events],
  )
  assert.equal((await (await agent.get('/api/events?after=x')).json()).reset, 'malformed_id')
})

test('a stream above the total limit is refused with Retry-After', async (t) => {
  const agent = await startAgent(t, { admissionLimits: { total: 2, reserve: 0 } })
  await agent.stream()
  const second = await agent.stream()
  const third = await agent.get('/api/events')
  assert.equal(third.status, 503)
  assert.ok(Number(third.headers.get('retry-after')) > 0)
  assert.equal((await third.json()).code, 'too_many_clients')
  second.close()
  await until(() => second.ended())
  await untilOk(() => agent.get('/api/events'))
})

test('no event is lost when the database terminates the sessions of the relay', async (t) => {
  const agent = await startAgent(t)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  for (let round = 0; round < 15; round += 1) {
    await agent.admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'bloud-relay%'`,
    )
    await addTransitions(agent)
  }
  await stream.until(() => seqs(stream.events()).at(-1) === 30)
  assert.deepEqual(seqs(stream.events()), range(0, 30))
})

test('without the database the stream stays open, HTTP requests get 503, and both recover', async (t) => {
  const proxy = await startProxy({
    host: '127.0.0.1',
    port: Number(new URL(process.env.BLOUD_TEST_DATABASE_URL as string).port),
  })
  t.after(proxy.stop)
  const agent = await startAgent(t, {}, proxy.port)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  proxy.setMode('refusing')
  await stream.until(() => stream.named('stale').length === 1)
  for (const path of ['/api/apps', '/api/status', '/api/operations', '/api/events?after=a.1']) {
    const answer = await agent.get(path)
    assert.equal(answer.status, 503, path)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
    assert.equal((await answer.json()).code, 'database_unavailable')
  }
  assert.equal((await agent.post('/api/apps/alpha/install')).status, 503)
  assert.equal((await agent.get('/healthz')).status, 200)
  assert.equal((await agent.get('/readyz')).status, 503)
  await addTransitions(agent)
  proxy.setMode('open')
  await stream.until(() => seqs(stream.events()).at(-1) === 2)
  assert.deepEqual(seqs(stream.events()), [0, 1, 2])
  await untilReady(agent.url)
})

test('the streams end when the server stops', async (t) => {
  const agent = await startAgent(t)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  await agent.stop()
  await until(() => stream.ended())
  await assert.rejects(fetch(agent.url))
})

test('the log of an operation is streamed line by line to its end', async (t) => {
  const agent = await startAgent(t)
  const { id } = await (await agent.post('/api/apps/alpha/install')).json()
  const log = await agent.stream(`/api/operations/${id}/log`)
  assert.equal(log.answer.status, 200, 'before the first line')
  await includeInRebuild(agent, id)
  await appendLog(agent, ['one', 'two'])
  await log.until(() => log.named('line').length === 2)
  await appendLog(agent, ['three'])
  await log.until(() => log.named('line').length === 3)
  await finish(agent, id)
  await log.until(() => log.ended())
  assert.deepEqual(
    log.events().map((event) => event.event),
    ['line', 'line', 'line', 'end'],
  )
  assert.deepEqual(
    log.named('line').map((event) => event.id),
    ['1', '2', '3'],
  )
  const late = await agent.stream(`/api/operations/${id}/log`, { 'last-event-id': '2' })
  await late.until(() => late.ended())
  assert.deepEqual(
    late.named('line').map((event) => event.id),
    ['3'],
  )
  const text = await agent.get(`/api/operations/${id}/log`)
  assert.equal(text.headers.get('content-type'), 'text/plain; charset=utf-8')
  assert.equal(await text.text(), 'one\ntwo\nthree\n')
})

async function includeInRebuild(agent: Agent, operation: number): Promise<void> {
  await agent.admin.query(`insert into bloud.rebuilds (attempt, worker, lease_until, deadline, started_at)
    values (1, 'test', now() + interval '1 hour', now() + interval '1 hour', now())`)
  await agent.admin.query(
    "update bloud.operations set state = 'active', rebuild_id = 1, started_at = now() where id = $1",
    [operation],
  )
}

async function appendLog(agent: Agent, lines: string[]): Promise<void> {
  await agent.admin.query(
    `insert into bloud.rebuild_log (rebuild_id, line_no, at, line)
     select 1, (select count(*) from bloud.rebuild_log) + i, now(), line
     from unnest($1::text[]) with ordinality as l (line, i)`,
    [lines],
  )
}

async function finish(agent: Agent, operation: number): Promise<void> {
  await agent.admin.query(
    "update bloud.operations set state = 'succeeded', finished_at = now() where id = $1",
    [operation],
  )
}

test('a new display name or a cancel request sends the event refresh, without an id, to open streams', async (t) => {
  const agent = await startAgent(t)
  await agent.admin.query("select bloud.install('alpha')")
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  await agent.admin.query("select bloud.rename('alpha', 'My flows')")
  await stream.until(() => stream.named('refresh').length === 1)
  const { apps } = (await (await agent.get('/api/status')).json()) as { apps: { display_name: string }[] }
  assert.equal(apps[0]?.display_name, 'My flows')
  await agent.admin.query("update bloud.operations set cancel_requested_at = now() where app = 'alpha'")
  await stream.until(() => stream.named('refresh').length === 2)
  assert.equal(stream.named('refresh')[0]?.id, undefined)
  assert.equal(stream.named('app').length, 0)
})

test('a client that resumes is sent refresh, because it can have missed a new display name', async (t) => {
  const agent = await startAgent(t)
  await agent.admin.query("select bloud.install('alpha')")
  const first = await agent.stream()
  await first.until(() => first.named('snapshot').length === 1)
  const id = first.named('snapshot')[0]?.id ?? ''
  assert.equal(first.named('refresh').length, 0)
  first.close()
  await until(() => first.ended())
  await agent.admin.query("select bloud.rename('alpha', 'My flows')")
  const resumed = await agent.stream('/api/events', { 'last-event-id': id })
  await resumed.until(() => resumed.named('refresh').length > 0)
  assert.equal(resumed.named('snapshot').length, 0)
  const filtered = await agent.stream(`/api/events?app=beta&since=${id}`)
  await filtered.until(() => filtered.named('refresh').length > 0)
})
