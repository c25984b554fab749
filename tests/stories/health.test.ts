/** Tests that the health check reaches the app itself, on each address on which an app can listen. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { portObstacle } from '../../src/system/portcheck.ts'
import { makeHome } from '../support/home.ts'

/** Ports that `fetch` refuses, which is a rule for browsers. */
const PORTS_OF_NO_BROWSER = [6667, 6566, 6697, 10080, 4190]

test('a health check path never leads to another address', async (t) => {
  let requests = 0
  const foreign = createServer((_, response) => {
    requests++
    response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(foreign, 'listening')
  t.after(() => foreign.close())
  const other = `127.0.0.1:${(foreign.address() as AddressInfo).port}`
  const home = await makeHome(t)
  const paths = {
    slashes: `//${other}/healthz`,
    backslash: `/\\${other}/healthz`,
    tab: `/\t/${other}/healthz`,
    user: `//name@${other}/healthz`,
  }
  for (const [name, path] of Object.entries(paths)) {
    await home.addApp(name, 'deaf', { healthCheck: { path, interval: 0.5, timeout: 3 } })
  }
  await home.orchestrator()
  for (const name of Object.keys(paths)) await home.sql.query('select bloud.install($1)', [name])
  for (const name of Object.keys(paths)) await home.until(name, 'error', 'running')
  const { rows } = await home.sql.query('select name, status from bloud.apps where status <> $1', ['error'])
  assert.deepEqual(rows, [])
  assert.equal(requests, 0)
})

test('an app is healthy on IPv6 alone, and on a port that browsers refuse', async (t) => {
  const home = await makeHome(t)
  await home.addApp('six', 'six-only')
  await home.addApp('six-tcp', 'six-only', { healthCheck: { kind: 'tcp', interval: 0.5, timeout: 20 } })
  await home.addApp('refused', 'healthy', { port: await freeOf(PORTS_OF_NO_BROWSER) })
  await home.orchestrator()
  for (const name of ['six', 'six-tcp', 'refused']) await home.sql.query('select bloud.install($1)', [name])
  for (const name of ['six', 'six-tcp', 'refused']) await home.until(name, 'error', 'running')
  const { rows } = await home.sql.query('select name, cause from bloud.apps where status <> $1', ['running'])
  assert.deepEqual(rows, [])
})

async function freeOf(ports: number[]): Promise<number> {
  for (const port of ports) if ((await portObstacle(port)) === null) return port
  throw new Error(`No free port among ${ports.join(', ')}`)
}
