/**
 * Tests that the server refuses invalid HTTP requests with an error code and writes nothing to the database.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { refusalOf } from '../support/sql.ts'
import { type Agent, startAgent } from './support.ts'

const run = promisify(execFile)
const ends: (() => unknown)[] = []
let agent: Agent
before(async () => {
  agent = await startAgent({ after: (fn) => ends.push(fn) })
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

/** Returns the error document of a reply, after checks of its media type, status and code. */
async function problem(answer: Response, status: number, code: string) {
  const body = await answer.text()
  assert.equal(answer.status, status, body)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  const parsed = JSON.parse(body)
  assert.equal(parsed.code, code)
  assert.equal(parsed.status, status)
  assert.equal(parsed.type, `urn:bloud:${code}`)
  assert.ok(parsed.title.length > 0 && parsed.detail.length > 0)
  return parsed
}

async function refusesToWrite(send: () => Promise<Response>, status: number, code: string) {
  const before = await agent.written()
  const parsed = await problem(await send(), status, code)
  assert.equal(await agent.written(), before)
  return parsed
}

const INSTALL_HEAD =
  'POST /api/apps/alpha/install HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'

const BAD_NAMES = [
  'Alpha',
  '1st',
  '-x',
  'a_b',
  'a%2Fb',
  'a%00',
  '%ZZ',
  'x'.repeat(64),
  '%F0%9F%92%A9',
  'a%20b',
]
for (const name of BAD_NAMES) {
  test(`the name ${name.slice(0, 20)} is refused, for reading and for writing`, async () => {
    await problem(await agent.get(`/api/apps/${name}`), 400, 'invalid_name')
    await problem(await agent.get(`/api/apps/${name}/plan-install`), 400, 'invalid_name')
    await refusesToWrite(() => agent.post(`/api/apps/${name}/install`), 400, 'invalid_name')
  })
}

test('an invalid name is refused with the texts of SQL', async () => {
  for (const name of ["No 'Way'!", 'x'.repeat(100)]) {
    const body = await problem(await agent.get(`/api/apps/${encodeURIComponent(name)}`), 400, 'invalid_name')
    const refusal = await refusalOf(agent.admin, 'select bloud.check_name($1)', [name])
    assert.deepEqual([body.detail, body.hint], [`${refusal.message}. ${refusal.detail}`, refusal.hint])
  }
})

test('an app that is not in the catalog is unknown', async () => {
  await problem(await agent.get('/api/apps/nope'), 404, 'unknown_app')
  const refusal = await refusesToWrite(() => agent.post('/api/apps/nope/install'), 404, 'unknown_app')
  assert.equal(refusal.sqlstate, 'BL001')
})

const BAD_BODIES: [body: string, status: number, code: string, what: string][] = [
  ['{', 400, 'invalid_json', 'half an object'],
  ['[]', 400, 'invalid_request', 'an array'],
  ['"alpha"', 400, 'invalid_request', 'a string'],
  ['null', 400, 'invalid_request', 'null'],
  ['{"choice": {}}', 400, 'invalid_request', 'an unknown key'],
  ['{"choices": 1}', 400, 'invalid_request', 'a number as choices'],
  ['{"choices": {"db": 1}}', 400, 'invalid_request', 'a number as one choice'],
]
for (const [body, status, code, what] of BAD_BODIES) {
  test(`a body is refused: ${what}`, async () => {
    await refusesToWrite(() => agent.post('/api/apps/alpha/install', body), status, code)
  })
}

test('the error names the unknown keys', async () => {
  const { detail } = await refusesToWrite(
    () => agent.post('/api/apps/alpha/uninstall', '{"pruge": true, "forse": 1}'),
    400,
    'invalid_request',
  )
  assert.match(detail, /"pruge", "forse"/)
})

test('a purge that does not name the app is refused with the body to send', async () => {
  for (const body of ['{"purge": true}', '{"purge": "yes"}', '{"purge": "beta"}', '{"purge": ""}']) {
    await refusesToWrite(() => agent.post('/api/apps/alpha/uninstall', body), 400, 'invalid_options')
    const { hint } = await (await agent.post('/api/apps/alpha/uninstall', body)).json()
    assert.match(hint, /\{"purge":"alpha"\}/)
  }
})

test('retry and cancel take no options', async () => {
  for (const verb of ['retry', 'cancel']) {
    await refusesToWrite(() => agent.post(`/api/apps/alpha/${verb}`, '{"now": true}'), 400, 'invalid_request')
  }
})

for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
  test(`a body of the type "${type}" is refused`, async () => {
    const send = () =>
      fetch(`${agent.url}/api/apps/alpha/install`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: '{}',
      })
    await refusesToWrite(send, 415, 'unsupported_media_type')
  })
}

test('a body that is not UTF-8 is refused', async () => {
  const send = () =>
    fetch(`${agent.url}/api/apps/alpha/install`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Uint8Array.from([0x7b, 0xff, 0x7d]),
    })
  await refusesToWrite(send, 400, 'invalid_json')
})

for (const size of [64 * 1024 + 1, 200_000, 3_000_000]) {
  test(`a body of ${size} bytes is refused, and the client receives the error`, async () => {
    const body = `{"a":"${'x'.repeat(size - 8)}"}`
    await refusesToWrite(() => agent.post('/api/apps/alpha/install', body), 413, 'body_too_large')
  })
}

test('a body with a too large content-length is refused before it is sent', async () => {
  const answer = await agent.raw(`${INSTALL_HEAD}Content-Length: 70000\r\n\r\n{`)
  assert.match(answer, /^HTTP\/1\.1 413 /)
})

test('an endless body gets an error, and the connection is closed', async () => {
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
  const answer = await agent.raw(`${INSTALL_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(6)}`)
  assert.match(answer, /^HTTP\/1\.1 413 /)
  assert.match(answer, /connection: close/i)
})

test('a connection stays usable after a body was refused', async () => {
  const big = 'x'.repeat(70_000)
  const answer = await agent.raw(
    `${INSTALL_HEAD}Content-Length: 70000\r\n\r\n${big}` +
      'POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n',
  )
  assert.match(answer, /^HTTP\/1\.1 413 /)
})

test('curl receives the error for a large file', async () => {
  const { stdout } = await run('sh', [
    '-c',
    `head -c 2000000 /dev/zero | curl -s -m 5 -o /dev/null -w '%{http_code}' -X POST \\
      -H 'content-type: application/json' --data-binary @- ${agent.url}/api/apps/alpha/install`,
  ])
  assert.equal(stdout, '413')
})

test('a body of exactly the size limit is read', async () => {
  const body = `{"a":"${'x'.repeat(64 * 1024 - 8)}"}`
  assert.equal(body.length, 64 * 1024)
  await refusesToWrite(() => agent.post('/api/apps/alpha/install', body), 400, 'invalid_request')
})

for (const path of [
  '/nowhere',
  '/api',
  '/api/',
  '/api/apps/',
  '/api/apps//install',
  '/api/apps/alpha/',
  '/api/apps/alpha/explode',
  '//',
  '/public/',
  '/public/../package.json',
  '/public/%2e%2e/package.json',
  '/public/..%2fpackage.json',
  '/vendor/uWebSockets.js',
  '/.git/config',
  '/package.json',
]) {
  test(`the path ${path} is not found`, async () => {
    const answer = await agent.raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 404 /)
    assert.match(answer, /"code":"not_found"/)
  })
}

const BAD_METHODS: [method: string, path: string, allow: string][] = [
  ['GET', '/api/apps/alpha/install', 'POST'],
  ['POST', '/api/apps', 'GET, HEAD'],
  ['DELETE', '/api/apps/alpha', 'GET, HEAD'],
  ['PUT', '/api/events', 'GET, HEAD'],
  ['OPTIONS', '/api/apps/alpha/install', 'POST'],
  ['PATCH', '/', 'GET, HEAD'],
  ['BREW', '/healthz', 'GET, HEAD'],
  ['get', '/healthz', 'GET, HEAD'],
]
for (const [method, path, allow] of BAD_METHODS) {
  test(`${method} ${path} is refused with the allowed methods`, async () => {
    const answer = await agent.raw(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 405 /)
    assert.match(answer, new RegExp(`\r\nallow: ${allow}\r\n`))
    assert.match(answer, /"code":"method_not_allowed"/)
  })
}

test('invalid limits and ids are refused', async () => {
  for (const path of [
    '/api/operations?limit=0',
    '/api/operations?limit=many',
    '/api/operations?limit=1e3',
    '/api/operations?limit=501',
    '/api/operations/abc',
    '/api/operations/-1',
    '/api/operations/99999999999999999999',
    '/api/events?after=a.1&limit=100000',
  ]) {
    await problem(await agent.get(path), 400, 'invalid_request')
  }
  await problem(await agent.get('/api/operations?app=A%20B'), 400, 'invalid_name')
  await problem(await agent.get('/api/operations/12345'), 404, 'unknown_operation')
  await problem(await agent.get('/api/operations/12345/log'), 404, 'unknown_operation')
})

test('a refusal of the database has its code and its SQLSTATE', async () => {
  const refusal = await refusesToWrite(() => agent.post('/api/apps/beta/uninstall'), 404, 'not_installed')
  assert.equal(refusal.sqlstate, 'BL005')
  await refusesToWrite(() => agent.post('/api/apps/beta/retry'), refusal.status, refusal.code)
})

test('uWebSockets.js refuses a header that is too large', async () => {
  const answer = await agent.raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`)
  assert.match(answer, /^HTTP\/1\.1 431 /)
})

test('a text that PostgreSQL cannot store is refused, in the body and in the query', async () => {
  const rename = (body: string) => () => agent.post('/api/apps/alpha/rename', body)
  for (const text of ['a\\u0000b', '\\ud800', '\\udc00\\ud800']) {
    await refusesToWrite(rename(`{"display_name":"${text}"}`), 400, 'invalid_request')
    await refusesToWrite(rename(`{"${text}":1}`), 400, 'invalid_request')
    const install = () => agent.post('/api/apps/alpha/install', `{"choices":{"slot":["${text}"]}}`)
    await refusesToWrite(install, 400, 'invalid_request')
  }
  for (const path of ['/api/operations?app=%00', '/api/events?after=%00', '/api/apps?x=%00', '/?%00=1'])
    await problem(await agent.get(path), 400, 'invalid_request')
  for (const path of ['/api/events?after=%ED%A0%80', '/api/operations?app=%ED%A0%80', '/api/apps/%ED%A0%80'])
    assert.equal((await agent.get(path)).status, path.startsWith('/api/events') ? 200 : 400)
  for (const name of ['%00', '%ED%A0%80', 'a%00'])
    for (const path of [`/apps/${name}`, `/apps/${name}/operations/1`, `/${name}`])
      assert.equal((await agent.get(path)).status, 404, path)
})

const AMBIGUOUS: [what: string, headers: string][] = [
  ['two Host headers', 'Host: localhost\r\nHost: localhost\r\n'],
  ['two equal Content-Length headers', 'Host: localhost\r\nContent-Length: 2\r\ncontent-length: 2\r\n'],
  ['two Content-Length headers', 'Host: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n'],
  ['gzip as Transfer-Encoding', 'Host: localhost\r\nTransfer-Encoding: gzip\r\n'],
  ['a list as Transfer-Encoding', 'Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n'],
  ['two Transfer-Encodings', `Host: localhost\r\n${'Transfer-Encoding: chunked\r\n'.repeat(2)}`],
  ['both lengths', 'Host: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n'],
  ['both lengths, empty', 'Host: localhost\r\nContent-Length:\r\nTransfer-Encoding:\r\n'],
  ['a list as Content-Length', 'Host: localhost\r\nContent-Length: 2, 2\r\n'],
  ['a sign in Content-Length', 'Host: localhost\r\nContent-Length: +2\r\n'],
  ['a negative Content-Length', 'Host: localhost\r\nContent-Length: -2\r\n'],
  ['a hexadecimal Content-Length', 'Host: localhost\r\nContent-Length: 0x2\r\n'],
]
for (const [what, headers] of AMBIGUOUS) {
  test(`a request with ${what} is refused, and the connection is closed`, async () => {
    const before = await agent.written()
    const hidden = 'POST /api/apps/alpha/install HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const head = `POST /api/catalog/refresh HTTP/1.1\r\nContent-Type: application/json\r\n${headers}\r\n`
    for (const rest of ['', '{}', `{}${hidden}`, hidden]) {
      const answer = await agent.untilClosed(head + rest)
      assert.match(answer, /^HTTP\/1\.1 400 /, rest)
      assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, rest)
    }
    assert.equal(await agent.written(), before)
  })
}
