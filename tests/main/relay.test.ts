/** Tests of the relay (HTTP server and event stream) as a separate process. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { startProxy } from '../relay/proxy.ts'
import { startProcess } from '../support/agent.ts'
import { administer, testDatabase } from '../support/cluster.ts'
import { freePort } from '../support/port.ts'

interface Tests {
  after(fn: () => unknown): void
}

const SCRIPT = new URL('../../src/main/relay.ts', import.meta.url)
const LIMIT_MS = 20_000

function start(t: Tests, settings: Record<string, string>): ChildProcess {
  const env = { PATH: process.env.PATH, BLOUD_LOG_LEVEL: 'silent', ...settings }
  const child = fork(SCRIPT, { env, stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  return child
}

async function firstMessage(child: ChildProcess): Promise<{ type: string; code?: string; message?: string }> {
  const [message] = await once(child, 'message', { signal: AbortSignal.timeout(LIMIT_MS) })
  return message
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(LIMIT_MS) })
  return code
}

async function database(t: Tests): Promise<string> {
  const made = await testDatabase('relay')
  t.after(made.drop)
  return made.urlFor('bloud_relay')
}

async function untilReady(address: string): Promise<void> {
  const deadline = Date.now() + LIMIT_MS
  for (;;) {
    const answer = await fetch(`${address}/readyz`)
    const { causes } = await answer.json()
    // The test has no orchestrator.
    if (causes.every(({ cause }: { cause: string }) => cause === 'no_worker')) return
    assert.ok(Date.now() < deadline, `the relay is not ready: ${JSON.stringify(causes)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('the relay reports when it is ready, and ends its streams and exits with 0 on SIGTERM', async (t) => {
  const port = await freePort()
  const child = start(t, { DATABASE_URL: await database(t), BLOUD_PORT: String(port) })
  assert.equal((await firstMessage(child)).type, 'ready')
  const stream = await fetch(`http://127.0.0.1:${port}/api/events`)
  child.kill('SIGTERM')
  await stream.text()
  assert.equal(await exitCode(child), 0)
})

test('the relay stops when its parent process ends', async (t) => {
  const child = start(t, { DATABASE_URL: await database(t), BLOUD_PORT: String(await freePort()) })
  assert.equal((await firstMessage(child)).type, 'ready')
  child.disconnect()
  assert.equal(await exitCode(child), 0)
})

test('a taken port is reported with the setting to change', async (t) => {
  const taken = await startProxy({ host: '127.0.0.1', port: 9 })
  t.after(taken.stop)
  const child = start(t, { DATABASE_URL: await database(t), BLOUD_PORT: String(taken.port) })
  const { type, code, message } = await firstMessage(child)
  assert.deepEqual([type, code], ['failed', 'EADDRINUSE'])
  assert.match(message as string, /BLOUD_PORT/)
  assert.equal(await exitCode(child), 1)
})

test('a second relay on the same port fails', async (t) => {
  const settings = { DATABASE_URL: await database(t), BLOUD_PORT: String(await freePort()) }
  assert.equal((await firstMessage(start(t, settings))).type, 'ready')
  assert.equal((await firstMessage(start(t, settings))).type, 'failed')
})

test('the relay starts before its database, and serves requests once the database is reachable', async (t) => {
  const url = new URL(await database(t))
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port) })
  t.after(proxy.stop)
  proxy.setMode('refusing')
  url.port = String(proxy.port)
  const port = await freePort()
  const child = start(t, { DATABASE_URL: url.href, BLOUD_PORT: String(port) })
  assert.equal((await firstMessage(child)).type, 'ready')
  const address = `http://127.0.0.1:${port}`
  assert.equal((await fetch(`${address}/healthz`)).status, 200)
  assert.equal((await fetch(`${address}/readyz`)).status, 503)
  assert.equal((await fetch(`${address}/api/apps`)).status, 503)
  proxy.setMode('open')
  await untilReady(address)
  assert.equal((await fetch(`${address}/api/apps`)).status, 200)
})

test('a refused login is a temporary failure, and requests work once the login is accepted', async (t) => {
  const { urlFor, name, drop } = await testDatabase('login')
  const login = `login_${randomBytes(4).toString('hex')}`
  const alter = (statement: string) => administer((admin) => admin.query(statement))
  await alter(`create role ${login} password 'old' in role bloud_relay`)
  t.after(async () => {
    await drop()
    await alter(`drop role ${login}`)
  })
  const url = new URL(urlFor('bloud_relay'))
  url.username = login
  url.password = 'new'
  const port = await freePort()
  const child = start(t, { DATABASE_URL: url.href, BLOUD_PORT: String(port) })
  assert.equal((await firstMessage(child)).type, 'ready')
  const address = `http://127.0.0.1:${port}`
  const steps = [
    [`alter role ${login} login`, 'with another password'],
    [`alter role ${login} nologin password 'new'`, 'without the right to log in'],
    [`alter role ${login} login; revoke connect on database ${name} from public`, 'without connect'],
    [`alter database ${name} rename to ${name}_away`, 'without the database'],
  ]
  for (const [statement = '', what] of steps) {
    await alter(statement)
    for (const path of ['/readyz', '/api/apps', '/api/status']) {
      const answer = await fetch(address + path)
      assert.equal(answer.status, 503, `${what}: ${path} ${await answer.text()}`)
    }
    const answer = await fetch(`${address}/api/apps/node-red/install`, { method: 'POST' })
    const { code, hint } = (await answer.json()) as { code: string; hint: string }
    assert.deepEqual([answer.status, code], [503, 'database_unavailable'], what)
    assert.match(hint, /DATABASE_URL/)
  }
  await alter(`alter database ${name}_away rename to ${name}`)
  await alter(`grant connect on database ${name} to public`)
  await untilReady(address)
  assert.equal((await fetch(`${address}/api/apps`)).status, 200)
})

test('the relay without a database URL reports the missing setting', async (t) => {
  const { type, message } = await firstMessage(start(t, {}))
  assert.equal(type, 'failed')
  assert.match(message as string, /DATABASE_URL/)
})

test('a SIGTERM that is sent to npm reaches the relay', async (t) => {
  const port = String(await freePort())
  const env = { ...process.env, DATABASE_URL: await database(t), BLOUD_PORT: port, BLOUD_LOG_LEVEL: 'info' }
  const npm = startProcess('npm', ['run', '-s', 'relay'], { cwd: ROOT, env })
  const [, pid] = await npm.waitFor(/"pid":(\d+).*"listening"/)
  t.after(() => spawnSync('kill', ['-9', String(pid)]))
  await npm.end('SIGTERM')
  await assert.rejects(fetch(`http://127.0.0.1:${port}/readyz`))
})
