import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type Agent, startAgent } from './support.ts'

const ends: (() => unknown)[] = []
let agent: Agent
before(async () => {
  agent = await startAgent({ after: (fn) => ends.push(fn) })
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

const COLUMNS = [
  'id',
  'name',
  'display_name',
  'version',
  'status',
  'port',
  'is_system',
  'integration_config',
  'installed_at',
  'updated_at',
]

test('an install is accepted at once, with the operation and its URL', async () => {
  const answer = await agent.post('/api/apps/alpha/install')
  assert.equal(answer.status, 202)
  const operation = await answer.json()
  assert.deepEqual(
    [operation.app, operation.kind, operation.state, operation.origin],
    ['alpha', 'install', 'queued', 'api'],
  )
  const again = await agent.get(answer.headers.get('location') as string)
  assert.deepEqual(await again.json(), operation)
})

test('a second install request returns the queued operation', async () => {
  const [first, second] = [
    await agent.post('/api/apps/alpha/install'),
    await agent.post('/api/apps/alpha/install', '{}'),
  ]
  assert.equal(second.status, 202)
  assert.equal((await first.json()).id, (await second.json()).id)
})

test('operations requested by the page have the origin web', async () => {
  const answer = await agent.post('/api/apps/beta/install', '{"choices": {}}', { 'x-bloud-origin': 'web' })
  const operation = await answer.json()
  assert.equal(operation.origin, 'web')
  assert.deepEqual(operation.options, { choices: {} })
  const { rows } = await agent.admin.query("select origin from bloud.events where app = 'beta'")
  assert.deepEqual(rows, [{ origin: 'web' }])
})

test('a cancel is accepted with its operation', async () => {
  const answer = await agent.post('/api/apps/beta/cancel')
  assert.equal(answer.status, 202)
  assert.equal((await answer.json()).state, 'cancelled')
})

test('the installed apps are an array of objects with exactly the columns of the table', async () => {
  const apps = await (await agent.get('/api/apps/installed')).json()
  assert.ok(Array.isArray(apps) && apps.length > 0)
  for (const app of apps) assert.deepEqual(Object.keys(app).sort(), [...COLUMNS].sort())
})

test('the catalog lists the apps that can be installed', async () => {
  const catalog = await (await agent.get('/api/apps')).json()
  assert.deepEqual(
    catalog.map((entry: { name: string }) => entry.name),
    ['alpha', 'beta', 'gamma'],
  )
})

test('an app is returned with its catalog entry and its status', async () => {
  const [installed, other] = await Promise.all(
    ['alpha', 'gamma'].map(async (name) => (await agent.get(`/api/apps/${name}`)).json()),
  )
  assert.equal(installed.status, 'queued')
  assert.equal(installed.category, 'test')
  assert.equal(installed.controls.cancel.allowed, true)
  assert.equal(other.status, null)
})

test('plans return the effects of install and uninstall', async () => {
  const install = await (await agent.get('/api/apps/gamma/plan-install')).json()
  assert.deepEqual(install.installs, ['gamma'])
  assert.equal((await agent.get('/api/apps/alpha/plan-uninstall')).status, 200)
})

test('operations are listed newest first, filtered by app, up to the limit', async () => {
  const all = await (await agent.get('/api/operations')).json()
  assert.deepEqual(
    all.map((operation: { app: string }) => operation.app),
    ['beta', 'alpha'],
  )
  assert.equal((await (await agent.get('/api/operations?limit=1')).json()).length, 1)
  assert.equal((await (await agent.get('/api/operations?app=alpha')).json())[0].app, 'alpha')
})

test('the status is the snapshot of the stream, and includes the last committed operation', async () => {
  await agent.post('/api/apps/beta/retry')
  const { id, apps } = await (await agent.get('/api/status')).json()
  assert.match(id, /^[a-z0-9]+\.4$/)
  const beta = apps.find((app: { name: string }) => app.name === 'beta')
  assert.equal(beta.status, 'queued')
})

test('a HEAD request gets the headers of GET without the body, and the connection stays usable', async () => {
  const answer = await agent.raw('HEAD /api/apps HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const length = Number(/content-length: (\d+)/i.exec(answer)?.[1])
  assert.equal(length, (await (await agent.get('/api/apps')).arrayBuffer()).byteLength)
  assert.ok(answer.endsWith('\r\n\r\n'))
  const both = await agent.raw(
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  )
  assert.match(both, /"alive":true/)
  for (const path of ['/', '/api/events', '/api/operations/1/log', '/nowhere']) {
    assert.ok([200, 404].includes((await fetch(agent.url + path, { method: 'HEAD' })).status), path)
  }
})

test('every reply forbids framing, type sniffing and use by other sites', async () => {
  for (const path of ['/', '/api/apps', '/nowhere', '/apps/alpha', '/public/main.js', '/metrics']) {
    const { headers } = await agent.get(path)
    assert.match(
      headers.get('content-security-policy') as string,
      /default-src 'none'.*frame-ancestors 'none'/,
    )
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
    assert.equal(headers.get('access-control-allow-origin'), null)
  }
})

test('every file of the page is served, and gets 304 while unchanged', async () => {
  const files = globSync('**/*.{js,css}', { cwd: 'public' })
  assert.ok(files.length > 3)
  for (const file of files) {
    const first = await agent.get(`/public/${file}`)
    assert.equal(first.status, 200, file)
    const etag = first.headers.get('etag') as string
    const second = await agent.get(`/public/${file}`, { 'if-none-match': `"other", W/${etag}` })
    assert.equal(second.status, 304)
    assert.equal(await second.text(), '')
  }
  assert.equal((await agent.get('/public/types.d.ts')).status, 404)
})

test('the health checks report that the agent runs, and why it is not ready', async () => {
  assert.equal((await agent.get('/healthz')).status, 200)
  const ready = await agent.get('/readyz')
  const { database, listen, schema, causes } = await ready.json()
  assert.deepEqual([database, listen, schema], ['ok', 'ok', 'ok'])
  assert.deepEqual(
    [ready.status, causes.map(({ cause }: { cause: string }) => cause)],
    [503, ['no_worker']],
    'this test has no orchestrator',
  )
})

test('metrics have the text format of Prometheus', async () => {
  const lines = (await (await agent.get('/metrics')).text()).trimEnd().split('\n')
  for (const line of lines)
    assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"\})? [0-9.e+]+)$/)
  for (const name of [
    'bloud_stream_clients',
    'bloud_event_seq',
    'bloud_ring_events',
    'bloud_notifications_total',
    'bloud_last_notification_seconds',
    'bloud_ready',
    'bloud_not_ready{cause="no_worker"}',
    'process_resident_memory_bytes',
  ]) {
    assert.ok(
      lines.some((line) => line.startsWith(`${name} `)),
      name,
    )
  }
})
