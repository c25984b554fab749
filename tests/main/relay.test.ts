/** The relay as a process of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { startProxy } from '../relay/proxy.ts'
import { testDatabase } from '../support/cluster.ts'
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

/** The first thing it says to its parent. */
async function word(child: ChildProcess): Promise<{ type: string; code?: string; message?: string }> {
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
    if (answer.ok) return
    const said = await answer.text()
    assert.ok(Date.now() < deadline, `it is not ready: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('it says when it works, and stops in order when asked', async (t) => {
  const port = await freePort()
  const child = start(t, { DATABASE_URL: await database(t), BLOUD_PORT: String(port) })
  assert.equal((await word(child)).type, 'ready')
  const stream = await fetch(`http://127.0.0.1:${port}/api/events`)
  child.kill('SIGTERM')
  await stream.text()
  assert.equal(await exitCode(child), 0)
})

test('it stops when whoever started it is gone', async (t) => {
  const child = start(t, { DATABASE_URL: await database(t), BLOUD_PORT: String(await freePort()) })
  assert.equal((await word(child)).type, 'ready')
  child.disconnect()
  assert.equal(await exitCode(child), 0)
})

test('a port that is taken is said in words, with the setting that helps', async (t) => {
  const taken = await startProxy({ host: '127.0.0.1', port: 9 })
  t.after(taken.stop)
  const child = start(t, { DATABASE_URL: await database(t), BLOUD_PORT: String(taken.port) })
  const { type, code, message } = await word(child)
  assert.deepEqual([type, code], ['failed', 'EADDRINUSE'])
  assert.match(message as string, /BLOUD_PORT/)
  assert.equal(await exitCode(child), 1)
})

test('two relays do not share a port', async (t) => {
  const settings = { DATABASE_URL: await database(t), BLOUD_PORT: String(await freePort()) }
  assert.equal((await word(start(t, settings))).type, 'ready')
  assert.equal((await word(start(t, settings))).type, 'failed')
})

test('it starts before its database does, and serves when that is there', async (t) => {
  const url = new URL(await database(t))
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port) })
  t.after(proxy.stop)
  proxy.be('refusing')
  url.port = String(proxy.port)
  const port = await freePort()
  const child = start(t, { DATABASE_URL: url.href, BLOUD_PORT: String(port) })
  assert.equal((await word(child)).type, 'ready')
  const address = `http://127.0.0.1:${port}`
  assert.equal((await fetch(`${address}/healthz`)).status, 200)
  assert.equal((await fetch(`${address}/readyz`)).status, 503)
  assert.equal((await fetch(`${address}/api/apps`)).status, 503)
  proxy.be('open')
  await untilReady(address)
  assert.equal((await fetch(`${address}/api/apps`)).status, 200)
})

test('without a database to go to it says which setting is missing', async (t) => {
  const { type, message } = await word(start(t, {}))
  assert.equal(type, 'failed')
  assert.match(message as string, /DATABASE_URL/)
})
