import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { type TestContext, test } from 'node:test'
import { portOwner } from '../../src/system/portowner.ts'
import { freePort } from '../support/port.ts'

const skip = process.platform === 'linux' ? false : 'only on Linux'

/** Starts a process in a process group of its own that runs `code`, and waits for its first output. */
async function start(t: TestContext, code: string): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, ['-e', code], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  }) as ChildProcess & { pid: number }
  t.after(() => process.kill(-child.pid, 'SIGKILL'))
  if (child.stdout) await once(child.stdout, 'data')
  return child
}

const listen = (port: number, host: string, more = '') =>
  `require('net').createServer().listen({ port: ${port}, host: '${host}'${more} }, () => console.log('up'))`
const groupOf = ({ pid }: { pid: number }) => ({ pgid: pid, marks: [] })

const ADDRESSES: [string, string, string[]][] = [
  ['127.0.0.1', '', ['127.0.0.1']],
  ['0.0.0.0', '', ['127.0.0.1']],
  ['::1', '', ['::1']],
  ['::', '', ['127.0.0.1', '::1']],
  ['::ffff:127.0.0.1', '', ['127.0.0.1']],
]
for (const [host, more, addresses] of ADDRESSES) {
  test(`a listener of the group on ${host} is reached at ${addresses.join(' and ')}`, { skip }, async (t) => {
    const port = await freePort()
    const app = await start(t, listen(port, host, more))
    assert.deepEqual(await portOwner(port, groupOf(app)), { owner: 'group', addresses })
  })
}

test('a child process of the group may listen', { skip }, async (t) => {
  const port = await freePort()
  const code = listen(port, '127.0.0.1')
  const app = await start(
    t,
    `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(code)}], { stdio: 'inherit' })`,
  )
  assert.deepEqual(await portOwner(port, groupOf(app)), { owner: 'group', addresses: ['127.0.0.1'] })
})

test('a listener of another program is named, and no listener has no owner', { skip }, async (t) => {
  const port = await freePort()
  const other = await start(t, listen(port, '127.0.0.1'))
  const app = await start(t, 'console.log(1); setInterval(() => {}, 1000)')
  assert.deepEqual(await portOwner(port, groupOf(app)), {
    owner: 'other',
    program: `${basename(process.execPath)} (process ${other.pid})`,
  })
  assert.deepEqual(await portOwner(await freePort(), groupOf(app)), { owner: 'none' })
})

test('an app on IPv6 alone is not reached on the IPv4 address of another program', { skip }, async (t) => {
  const port = await freePort()
  await start(t, listen(port, '127.0.0.1'))
  const app = await start(t, listen(port, '::', ', ipv6Only: true'))
  assert.deepEqual(await portOwner(port, groupOf(app)), { owner: 'group', addresses: ['::1'] })
})
