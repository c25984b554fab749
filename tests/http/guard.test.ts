/** Tests of the guard, which refuses HTTP requests from web pages of other sites. */
import assert from 'node:assert/strict'
import { hostname, networkInterfaces } from 'node:os'
import { after, before, test } from 'node:test'
import { createGuard } from '../../src/http/guard.ts'
import { type Agent, startAgent } from './support.ts'

const ends: (() => unknown)[] = []
let agent: Agent
before(async () => {
  agent = await startAgent({ after: (fn) => ends.push(fn) })
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

const ROUTES: [method: string, path: string][] = [
  ['GET', '/'],
  ['GET', '/public/main.js'],
  ['GET', '/vendor/preact.js'],
  ['GET', '/api/apps'],
  ['GET', '/api/apps/installed'],
  ['GET', '/api/events'],
  ['GET', '/api/events?after=a.1'],
  ['GET', '/api/status'],
  ['GET', '/api/operations'],
  ['GET', '/api/operations/1/log'],
  ['GET', '/healthz'],
  ['GET', '/metrics'],
  ['POST', '/api/apps/alpha/install'],
  ['GET', '/nowhere'],
  ['OPTIONS', '/api/apps/alpha/install'],
]

const request = (method: string, path: string, headers: string) =>
  agent.raw(`${method} ${path} HTTP/1.1\r\n${headers}\r\n\r\n`)

for (const [method, path] of ROUTES) {
  test(`${method} ${path} under a foreign name (DNS rebinding) is refused`, async () => {
    const before = await agent.written()
    const answer = await request(method, path, `Host: evil.example:${agent.port}`)
    assert.match(answer, /^HTTP\/1\.1 403 /)
    assert.match(answer, /"code":"foreign_host"/)
    assert.equal(await agent.written(), before)
  })

  test(`${method} ${path} from a page of another origin is refused`, async () => {
    const before = await agent.written()
    const answer = await request(method, path, `Host: localhost:${agent.port}\r\nOrigin: http://evil.example`)
    assert.match(answer, /^HTTP\/1\.1 403 /)
    assert.match(answer, /"code":"foreign_origin"/)
    assert.equal(await agent.written(), before)
  })
}

test('POST requests from a page of another site are refused, even without an Origin header', async () => {
  for (const site of ['cross-site', 'same-site']) {
    const answer = await request(
      'POST',
      '/api/apps/alpha/install',
      `Host: localhost\r\nSec-Fetch-Site: ${site}`,
    )
    assert.match(answer, /"code":"foreign_origin"/)
  }
})

test('the web page can be opened by a link from another site', async () => {
  const answer = await request('GET', '/', 'Host: localhost\r\nSec-Fetch-Site: cross-site')
  assert.match(answer, /^HTTP\/1\.1 200 /)
})

test("the agent's own page may post", async () => {
  const host = `localhost:${agent.port}`
  const headers = `Host: ${host}\r\nOrigin: http://${host}\r\nSec-Fetch-Site: same-origin`
  assert.match(await request('POST', '/api/apps/nope/install', headers), /"code":"unknown_app"/)
})

test('an HTTP request without a Host header is refused', async () => {
  assert.match(await request('GET', '/healthz', 'X: y'), /^HTTP\/1\.1 400 /)
  assert.match(await request('GET', '/healthz', 'Host: '), /"code":"invalid_request"/)
})

function refusalCode(guard: ReturnType<typeof createGuard>, host: string, origin = ''): string | undefined {
  try {
    guard.check('GET', { host, origin, secFetchSite: '' })
    return undefined
  } catch (error) {
    return (error as { code: string }).code
  }
}

test('loopback names, the name of the machine, and the names in the settings are accepted as Host', () => {
  const guard = createGuard({ listen: '127.0.0.1', allowedHosts: ['box.example'] })
  const own = hostname().toLowerCase()
  const good = [
    'localhost',
    'LOCALHOST:3000',
    'localhost.',
    '127.0.0.1:1',
    '[::1]:3000',
    '[0:0:0:0:0:0:0:1]',
    own,
    `${own.replace(/\.local$/, '')}.local:3000`,
    'box.example',
    'Box.Example:8443',
  ]
  for (const host of good) assert.equal(refusalCode(guard, host), undefined, host)
})

test('every other Host is foreign', () => {
  const guard = createGuard({ listen: '127.0.0.1', allowedHosts: [] })
  const bad = [
    'evil.example',
    'localhost.evil.example',
    'evil-localhost',
    'localhost@evil.example',
    'localhost:3000:3000',
    'localhost/evil',
    'localhost#',
    'localhost:99999999',
    '127.0.0.2',
    '0.0.0.0',
    '10.1.2.3',
    '[::2]',
    '[::1',
    'local host',
    'xn--lcalhost-n4a',
    'localhost%00',
    '..',
  ]
  for (const host of bad) assert.equal(refusalCode(guard, host), 'foreign_host', host)
})

test('when listening on every address, only the addresses of the machine are accepted as Host', () => {
  const guard = createGuard({ listen: '0.0.0.0', allowedHosts: [] })
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  for (const { address, family } of own) {
    const host = family === 'IPv6' ? `[${address}]` : address
    assert.equal(refusalCode(guard, `${host}:3000`), undefined, host)
  }
  assert.equal(refusalCode(guard, '203.0.113.9:3000'), 'foreign_host')
  assert.equal(refusalCode(guard, 'evil.example'), 'foreign_host')
})

test('an origin is accepted only with the name and port of Host', () => {
  const guard = createGuard({ listen: '127.0.0.1', allowedHosts: ['box.example'] })
  const same: [string, string][] = [
    ['localhost:3000', 'http://localhost:3000'],
    ['localhost', 'http://localhost'],
    ['localhost:80', 'http://localhost'],
    ['box.example', 'https://box.example'],
    ['box.example:443', 'https://box.example'],
  ]
  for (const [host, origin] of same) assert.equal(refusalCode(guard, host, origin), undefined, origin)
  const foreign: [string, string][] = [
    ['localhost:3000', 'null'],
    ['localhost:3000', 'http://localhost:1880'],
    ['localhost:3000', 'http://127.0.0.1:3000'],
    ['localhost:3000', 'http://localhost'],
    ['localhost:3000', 'file://localhost:3000'],
    ['localhost:3000', 'http://localhost:3000.evil.example'],
    ['box.example', 'http://evil.example'],
    ['localhost', 'nonsense'],
  ]
  for (const [host, origin] of foreign)
    assert.equal(refusalCode(guard, host, origin), 'foreign_origin', origin)
})
