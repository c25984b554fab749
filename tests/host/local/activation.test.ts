/** Tests when the switch counts an app as started: it is healthy, or it has run for the settling time. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { awaitApps } from '../../../src/host/local/activation.ts'
import { statePaths } from '../../../src/host/local/paths.ts'
import { digestOf } from '../../../src/host/local/statefiles.ts'
import { toJson, writeAtomic } from '../../../src/system/atomicfile.ts'
import { acquireFileLock } from '../../../src/system/filelock.ts'
import { pollUntil } from '../../../src/system/timeout.ts'
import { temporaryDirectory } from '../../support/directory.ts'
import { freePort } from '../../support/port.ts'

const onlyLinux = { skip: process.platform === 'linux' ? false : 'finds the owner of a port in /proc' }
const REFRESH_MS = 100
/** Number of refreshes after which an app that counts as healthy would certainly have been found. */
const REFRESHES = 15
const LIMIT_MS = 60_000
/** Time in ms of an answer within the limit of a usual probe, 5 s, but long after the settling time. */
const LATE_MS = 4_500
const top = temporaryDirectory()
let homes = 0

/** App of a process group of its own, which answers with the status, or never. */
async function startApp(t: TestContext, port: number, answer: string): Promise<ChildProcess> {
  const program = `require('node:http').createServer((_, response) => { console.log('asked'); ${answer} })
    .listen(${port}, '127.0.0.1', () => console.log('ready'))`
  const app = spawn(process.execPath, ['-e', program], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.after(() => app.kill('SIGKILL'))
  await once(app.stdout as NodeJS.EventEmitter, 'data')
  return app
}

interface Started {
  /** Result of awaitApps(). */
  failures: Awaited<ReturnType<typeof awaitApps>>
  /** True if the app was new at the end, so that it did not count as started by its age. */
  wasNew: boolean
}

/**
 * Waits for the activation of an app that the supervisor has just started, according to its state file. The
 * file says so again and again, `refreshes` times, so that the settling time begins only then.
 */
async function activate(
  t: TestContext,
  port: number,
  pid: number,
  refreshes: number,
  state = {},
): Promise<Started> {
  const dataDir = join(top, `${++homes}`)
  const paths = statePaths(join(dataDir, 'host'))
  await mkdir(paths.supervisor, { recursive: true })
  await writeAtomic(paths.mark, 'mark')
  const lock = await acquireFileLock(paths.supervisorLock, 1000)
  t.after(() => lock?.release())
  const spec = { port }
  const write = () => {
    const unit = { state: 'running', pid, digest: digestOf(spec), exitCode: null, restarts: 0, ...state }
    const apps = { app: { ...unit, since: new Date().toISOString() } }
    return writeAtomic(
      paths.supervisorState,
      toJson({ pid: process.pid, generation: 1, activation: 'now', apps }),
    )
  }
  await write()
  const check = { kind: 'http', path: '/', interval: 10, timeout: 60 } as const
  const activation = { apps: { app: spec }, changed: ['app'], checks: { app: check } }
  let failures: Started['failures'] | undefined
  const ended = awaitApps(paths, dataDir, activation as never).then((result) => {
    failures = result
  })
  let left = refreshes
  while (failures === undefined && left-- > 0) {
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, REFRESH_MS))])
    if (failures === undefined) await write()
  }
  const wasNew = failures !== undefined
  await ended
  return { failures: failures as Started['failures'], wasNew }
}

test('an app that is healthy counts as started at once', onlyLinux, async (t) => {
  const port = await freePort()
  const { pid } = await startApp(t, port, 'response.end()')
  // A busy machine needs time for the first answer.
  assert.deepEqual(await activate(t, port, pid as number, 500), { failures: {}, wasNew: true })
})

test('an app that answers with an error counts as started after the settling time', onlyLinux, async (t) => {
  const port = await freePort()
  const { pid } = await startApp(t, port, 'response.writeHead(503).end()')
  assert.deepEqual(await activate(t, port, pid as number, REFRESHES), { failures: {}, wasNew: false })
})

test('a healthy answer of another process on the port does not count', onlyLinux, async (t) => {
  let requests = 0
  const other = createServer((_, response) => {
    requests++
    response.end()
  }).listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { pid } = await startApp(t, await freePort(), 'response.end()')
  const { port } = other.address() as AddressInfo
  assert.deepEqual(await activate(t, port, pid as number, REFRESHES), { failures: {}, wasNew: false })
  assert.equal(requests, 0)
})

test('an app that answers late does not delay the end beyond the settling time', onlyLinux, async (t) => {
  const port = await freePort()
  const app = await startApp(
    t,
    port,
    `const timer = setTimeout(() => { console.log('answered'); response.end() }, ${LATE_MS})
    response.on('close', () => { clearTimeout(timer); console.log('closed') })`,
  )
  let output = ''
  app.stdout?.on('data', (text) => {
    output += text
  })
  assert.deepEqual(await activate(t, port, app.pid as number, 0), { failures: {}, wasNew: false })
  assert.ok(await pollUntil(() => /closed/.test(output), LIMIT_MS))
  assert.doesNotMatch(output, /answered/, 'the probe has ended before')
})

test('an app that has ended before its first healthy answer has failed', onlyLinux, async (t) => {
  const { failures } = await activate(t, await freePort(), 1, 0, { state: 'backoff', pid: null, exitCode: 3 })
  assert.match(failures?.app?.message ?? '', /ended at once with exit code 3/)
})
