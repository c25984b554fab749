/** Tests of the bytes that the page and the API send for a large server: 500 apps of a catalog of 2,000. */
import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type Agent, startAgent } from './support.ts'

const FIRST_LOAD_BYTES = 200_000
const FILL = [
  'set session_replication_role = replica',
  `insert into bloud.catalog_cache (name, yaml_content, updated_at, entry, display_name, description, category,
     version, port, is_system)
   select 'app-' || n, repeat('x', 600), now(), '{"integrations": {}}', 'App ' || n,
     'One of many apps on a large server.', 'category ' || n % 9, '1.0.' || n, 10000 + n, false
   from generate_series(1, 2000) n`,
  `insert into bloud.apps (name, display_name, version, status, port, wanted, cause)
   select 'app-' || n, 'App ' || n, '1.0.' || n, 'error', 10000 + n, true,
     '{"class": "health", "message": "It answered 503."}'
   from generate_series(1, 500) n`,
  'set session_replication_role = origin',
]

async function largeServer(t: { after(fn: () => unknown): void }): Promise<Agent> {
  const agent = await startAgent(t)
  for (const text of FILL) await agent.admin.query(text)
  return agent
}

interface Received {
  headers: Record<string, unknown>
  body: Buffer
}

/** Sends a request as a browser does. Returns the body as it was sent, compressed. */
function receive(agent: Agent, path: string, encoding = 'gzip, deflate, br'): Promise<Received> {
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': encoding }
    get(agent.url + path, { headers, agent: false }, async (answer) => {
      resolve({ headers: answer.headers, body: Buffer.concat(await answer.toArray()) })
    }).on('error', reject)
  })
}

test('the first load of the page is at most 200 kB', async (t) => {
  const agent = await largeServer(t)
  const page = await receive(agent, '/')
  const html = gunzipSync(page.body).toString()
  const files = [...html.matchAll(/"(\/page\.[^"]+)"/g)].map((match) => match[1] as string)
  assert.equal(files.length, 2)
  assert.equal(html.match(/"name":"app-\d+"/g)?.length, 2500, 'the page has all apps and the whole catalog')
  // The page requests these two because an app is in error.
  const paths = [...files, '/api/status', '/api/rollback']
  const others = await Promise.all(paths.map((path) => receive(agent, path)))
  const sizes = [page, ...others].map(({ body }) => body.length)
  const sum = sizes.reduce((total, size) => total + size)
  assert.ok(sum <= FIRST_LOAD_BYTES, `${['/', ...paths].map((path, index) => `${path} ${sizes[index]}`)}`)
})

test('a page that begins after the event of its document receives no snapshot', async (t) => {
  const agent = await largeServer(t)
  const { id } = await (await agent.get('/api/status')).json()
  const stream = await agent.stream(`/api/events?since=${id}`)
  await stream.until(() => stream.named('refresh').length === 1)
  assert.deepEqual(stream.named('snapshot'), [])
})

test('JSON is compressed for clients that accept gzip, and plain for others', async (t) => {
  const agent = await largeServer(t)
  for (const path of ['/api/apps', '/api/status', '/api/apps/installed']) {
    const [zipped, plain] = [await receive(agent, path), await receive(agent, path, 'identity')]
    assert.equal(zipped.headers['content-encoding'], 'gzip', path)
    assert.equal(plain.headers['content-encoding'], undefined, path)
    assert.equal(plain.headers.vary, 'accept-encoding', path)
    const [first, second] = [gunzipSync(zipped.body), plain.body].map((body) => JSON.parse(body.toString()))
    assert.equal(JSON.stringify(first).length, JSON.stringify(second).length, path)
    assert.ok(zipped.body.length < plain.body.length / 8, path)
  }
})
