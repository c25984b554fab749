/** Tests of the limits on the number of open connections, idle ones included. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { until } from '../relay/fakes.ts'
import { startProcess } from '../support/agent.ts'
import { settings } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { startAgent, untilOk } from './support.ts'

/** Address of this machine that is not loopback, so that a client with it counts as another machine. */
const OWN = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address

interface Idle {
  socket: Socket
  isOpen(): boolean
}

/** Opens connections that send nothing. Resolves when each is connected or refused. */
async function openIdle(t: TestContext, host: string, port: number, count: number): Promise<Idle[]> {
  const opened = Array.from({ length: count }, () => {
    const socket = connect(port, host)
    const state = { connected: false, closed: false }
    socket.on('connect', () => {
      state.connected = true
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      state.closed = true
    })
    socket.resume()
    t.after(() => socket.destroy())
    return { socket, state, isOpen: () => state.connected && !state.closed }
  })
  await until(() => opened.every(({ state }) => state.connected || state.closed))
  return opened
}

const openOf = (idle: readonly Idle[]) => idle.filter(({ isOpen }) => isOpen()).length

test('idle connections above the limit of an address are closed, and other clients are served', {
  skip: OWN ? false : 'this machine has no address but loopback',
}, async (t) => {
  const config = { port: 0, listen: '0.0.0.0', allowedHosts: [] }
  const agent = await startAgent(t, { config, connectionLimits: { perAddress: 5 } })
  const host = OWN ?? ''
  const idle = await openIdle(t, host, agent.port, 20)
  await until(() => openOf(idle) === 5)
  assert.equal((await agent.get('/healthz')).status, 200)
  for (const { socket } of idle.filter(({ isOpen }) => isOpen()).slice(0, 2)) socket.destroy()
  await untilOk(() =>
    fetch(`http://${host}:${agent.port}/healthz`).catch(() => new Response('closed', { status: 503 })),
  )
})

test('with more clients than file descriptors, the relay keeps some for its database', async (t) => {
  const agent = await startAgent(t)
  const port = await freePort()
  const env = settings({ DATABASE_URL: agent.database.urlFor('bloud_relay'), BLOUD_PORT: String(port) })
  const command = 'ulimit -n 256; exec "$0" "$@"'
  const args = ['-c', command, process.execPath, join(ROOT, 'src/main/relay.ts')]
  const relay = startProcess('/bin/sh', args, { env })
  t.after(() => relay.end('SIGKILL'))
  await relay.waitFor(/"listening"/)
  const url = `http://127.0.0.1:${port}`
  await untilOk(() => fetch(`${url}/api/status`))
  const idle = await openIdle(t, '127.0.0.1', port, 400)
  await relay.waitFor(/connections are refused/)
  const used = readdirSync(`/proc/${relay.child.pid}/fd`).length
  assert.ok(used < 200, `${used} of 256 descriptors are in use`)
  for (const { socket } of idle) socket.destroy()
  await untilOk(() => fetch(`${url}/api/status`).catch(() => new Response('closed', { status: 503 })))
})
