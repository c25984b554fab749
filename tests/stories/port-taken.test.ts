/** Tests that the answer of another program on the port of an app does not make the app healthy. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { statePaths } from '../../src/host/local/paths.ts'
import { supervisorState } from '../../src/host/local/statefiles.ts'
import { makeHome } from '../support/home.ts'
import { until } from '../support/local-host.ts'
import { TO_RUNNING } from '../support/nixos-home.ts'

const healthCheck = { path: '/health', interval: 0.2, timeout: 80 }

async function otherProgram(t: TestContext, port: number, host: string, status = 200) {
  const server = createServer((_, response) => response.writeHead(status).end()).listen(port, host)
  await once(server, 'listening')
  const stop = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  t.after(stop)
  return { stop }
}

for (const host of ['127.0.0.1', '0.0.0.0', '::']) {
  test(`an app whose port another program takes on ${host} is an error that names the program`, async (t) => {
    const home = await makeHome(t)
    const port = await home.addApp('app', 'waits', { healthCheck })
    const first = await home.orchestrator()
    const mayListen = join(home.packages, 'app/listen')
    await writeFile(mayListen, '')
    await home.sql.query("select bloud.install('app')")
    await home.until('app', 'running')
    await first.end('SIGTERM')
    await rm(mayListen)
    const other = await otherProgram(t, port, host)
    await home.orchestrator()
    await home.until('app', 'error')
    const { message, hint, exit_code } = (await home.cause('app')) ?? {}
    assert.equal(
      message,
      `Port ${port} of app is used by another program: ${basename(process.execPath)} (process ${process.pid})`,
    )
    assert.match(String(hint), /^Stop that program/)
    assert.equal(exit_code, undefined)
    // From now on each process of the app ends with EADDRINUSE, and the supervisor starts the next one.
    await writeFile(mayListen, '')
    const paths = statePaths(join(home.dataDir, 'host'))
    const restarts = async () => (await supervisorState(paths))?.apps.app?.restarts ?? 0
    await until('the supervisor restarted the app twice', async () => (await restarts()) >= 2)
    assert.deepEqual(await home.transitionsOf('app'), [...TO_RUNNING, 'running→error'])
    await other.stop()
    await home.until('app', 'running')
    assert.deepEqual(await home.transitionsOf('app'), [...TO_RUNNING, 'running→error', 'error→running'])
  })
}

test('another program on the other loopback address does not hide the app, and is not taken for it', async (t) => {
  const home = await makeHome(t)
  const four = await home.addApp('four', 'switchable', { healthCheck })
  const six = await home.addApp('six', 'six-only', { healthCheck })
  await home.orchestrator()
  for (const name of ['four', 'six']) await home.sql.query('select bloud.install($1)', [name])
  for (const name of ['four', 'six']) await home.until(name, 'running')
  await otherProgram(t, four, '::1')
  await otherProgram(t, six, '127.0.0.1', 500)
  await fetch(`http://127.0.0.1:${four}/unhealthy`, { method: 'POST' })
  await home.until('four', 'error')
  await fetch(`http://127.0.0.1:${four}/healthy`, { method: 'POST' })
  await home.until('four', 'running')
  assert.deepEqual(await home.transitionsOf('six'), TO_RUNNING)
})
