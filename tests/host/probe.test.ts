import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { catalogAppSchema } from '../../src/domain/catalog.ts'
import { probe } from '../../src/host/probe.ts'
import { freePort } from '../support/port.ts'

const check = (path = '/', kind: 'http' | 'tcp' = 'http') =>
  catalogAppSchema.shape.healthCheck.parse({ path, kind })

async function portOf(t: TestContext, server: Server, host = '127.0.0.1', port = 0): Promise<number> {
  server.listen(port, host)
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}
const serve = (t: TestContext, listener: RequestListener, host?: string) =>
  portOf(t, createHttpServer(listener), host)
/** Sends the text to each client at once, and keeps the connection open. */
const send = (t: TestContext, text: string) =>
  portOf(
    t,
    createServer((socket) => void socket.on('error', () => undefined).write(text)),
  )

test('a path is requested as written in the catalog, with its query, and encoded where HTTP requires', async (t) => {
  const paths: (string | undefined)[] = []
  const port = await serve(t, ({ url }, response) => {
    paths.push(url)
    response.end()
  })
  const written = ['/a?b=c', '//other.example/x', '/\\other.example', '/a b', '/é', '/x#part', '/../y', '']
  for (const path of written) assert.equal(await probe(port, { ...check(), path }), null, path)
  assert.deepEqual(paths, [
    '/a?b=c',
    '//other.example/x',
    '//other.example',
    '/a%20b',
    '/%C3%A9',
    '/x',
    '/y',
    '/',
  ])
})

test('a redirect is healthy and is not followed', async (t) => {
  let followed = 0
  const other = await serve(t, (_, response) => {
    followed++
    response.end()
  })
  const port = await serve(t, (_, response) =>
    response.writeHead(302, { location: `http://127.0.0.1:${other}/` }).end(),
  )
  assert.equal(await probe(port, check()), null)
  assert.equal(followed, 0)
})

test('the problem names the HTTP status, or the reason why the port cannot be reached', async (t) => {
  const port = await serve(t, (_, response) => response.writeHead(503).end())
  assert.equal(await probe(port, check('/health')), `http://127.0.0.1:${port}/health answered 503`)
  const none = await freePort()
  assert.equal(await probe(none, check()), `http://127.0.0.1:${none}/ can't be reached (ECONNREFUSED)`)
  assert.equal(await probe(none, check('/', 'tcp')), `port ${none} can't be reached (ECONNREFUSED)`)
})

test('an app on IPv6 alone is found, and an app on IPv4 is not asked on IPv6 too', async (t) => {
  const port = await serve(t, (_, response) => response.end(), '::1')
  assert.equal(await probe(port, check()), null)
  assert.equal(await probe(port, check('/', 'tcp')), null)
  let onIpv6 = 0
  const both = await serve(t, (_, response) => response.writeHead(500).end())
  await portOf(
    t,
    createServer(() => onIpv6++),
    '::1',
    both,
  )
  assert.equal(await probe(both, check()), `http://127.0.0.1:${both}/ answered 500`)
  assert.equal(onIpv6, 0)
})

test('silence, endless headers and another protocol end a probe', async (t) => {
  const silent = await send(t, '')
  const informs = await send(t, 'HTTP/1.1 102 Processing\r\n\r\n')
  const [endless, other] = [
    await send(t, `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(200_000)}`),
    await send(t, '220 mail\r\n'),
  ]
  const limit = (port: number) => `http://127.0.0.1:${port}/ did not answer within 5 s`
  assert.deepEqual(await Promise.all([silent, informs].map((port) => probe(port, check()))), [
    limit(silent),
    limit(informs),
  ])
  assert.match((await probe(endless, check())) ?? '', /HPE_HEADER_OVERFLOW/)
  assert.match((await probe(other, check())) ?? '', /HPE_/)
})
