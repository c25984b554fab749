import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { killGroup, readMark } from '../../../src/system/processgroup.ts'
import { ended, until } from '../../support/local-host.ts'
import { container, createTestMachine } from '../../support/nixos-host.ts'

const RUN = { id: '1-1' }
const ROUNDS = 8

/** Program that writes two configurations in turn without end, and prints a line after each of them. */
const CONFIGURER = `
import { createNixosHost } from '${join(import.meta.dirname, '../../../src/host/nixos/host.ts')}'
import { machineSettings } from '${join(import.meta.dirname, '../../support/nixos-host.ts')}'
const [, dataDir, first, second] = process.argv
const host = createNixosHost({ dataDir, nixos: machineSettings(dataDir) })
for (let turn = 0; ; turn++) {
  await host.configure(JSON.parse(turn % 2 === 0 ? first : second))
  console.log(turn)
}
`

async function lineOf(child: ChildProcess, count: number): Promise<void> {
  let printed = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString().split('\n').length - 1
  })
  await until('the program has printed enough lines', () => printed > count)
}

test('an agent killed while it writes leaves the old configuration or the new one, whole', async (t) => {
  const { host, dataDir, paths } = await createTestMachine(t)
  const sso = { strategy: 'native-oidc', callbackPath: '/cb', env: { clientSecret: 'SECRET' } }
  const apps = [await container('one', { sso }), await container('two', { sso })]
  const [both, one] = [JSON.stringify(apps), JSON.stringify(apps.slice(0, 1))]
  for (let round = 0; round < ROUNDS; round++) {
    const args = ['--input-type=module', '-e', CONFIGURER, '--', dataDir, both, one]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await lineOf(child, round)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const { apps: written } = JSON.parse(await readFile(paths.apps, 'utf8'))
    assert.ok(written.length === 1 || written.length === 2)
  }
  await host.configure(JSON.parse(both))
  const files = await readdir(paths.state, { recursive: true })
  assert.deepEqual(
    files.filter((file) => file.endsWith('.tmp')),
    [],
  )
  assert.deepEqual((await readdir(paths.blueprints)).sort(), ['one.yaml', 'two.yaml'])
})

test('a run continues after rebuild.ts is killed, and counts as lost after its end', async (t) => {
  const { host, scenario, held, go, processes } = await createTestMachine(t)
  await scenario({ wait: 'build' })
  await host.configure([await container('one')])
  await host.startSwitch(RUN)
  await until('nixos-rebuild waits', held)
  const [watcher] = (await processes()).sort((a, b) => a - b)
  process.kill(watcher ?? 0, 'SIGKILL')
  await until('only nixos-rebuild is left', async () => (await processes()).length === 1)
  assert.deepEqual(await host.inspect(RUN), { state: 'running' })
  await go()
  assert.deepEqual(await ended(host, RUN), { state: 'lost' })
  assert.match((await host.generation()) ?? '', /^1 /, 'the new generation is reported')
})

test('a run whose processes are all killed is lost, and the next run completes the switch', async (t) => {
  const { host, scenario, paths, starts } = await createTestMachine(t)
  const app = await container('one')
  for (let round = 1; round <= ROUNDS; round++) {
    const run = { id: `1-${round}` }
    await scenario({ lines: round, everyMs: 15 })
    await host.configure([app])
    await host.startSwitch(run)
    await until(
      'the run has printed enough lines',
      async () => (await host.readLog(run, 0, 10_000)).lines.length >= round,
    )
    await killGroup({ marks: [`${await readMark(paths.mark)}/rebuild/${run.id}`] })
    const state = await ended(host, run)
    assert.ok(state.state === 'lost' || state.state === 'exited')
  }
  await scenario({})
  await host.startSwitch({ id: '2-1' })
  assert.deepEqual(await ended(host, { id: '2-1' }), { state: 'exited', exitCode: 0 })
  assert.equal(await starts(), ROUNDS + 1)
})

test('a run whose command kills the agent is found again by the next agent', async (t) => {
  const machine = await createTestMachine(t)
  const { another, dataDir, scenario, starts } = machine
  const program = `
import { createNixosHost } from '${join(import.meta.dirname, '../../../src/host/nixos/host.ts')}'
import { machineSettings } from '${join(import.meta.dirname, '../../support/nixos-host.ts')}'
const [, dataDir, apps] = process.argv
const host = createNixosHost({ dataDir, nixos: machineSettings(dataDir), environment: process.env })
await host.configure(JSON.parse(apps))
process.stdin.once('data', () => host.startSwitch({ id: '1-1' }))
console.log('ready')
`
  const apps = JSON.stringify([await container('one')])
  const args = ['--input-type=module', '-e', program, '--', dataDir, apps]
  const agent = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  await scenario({ kill: { at: 'build', pids: [agent.pid] } })
  await once(agent.stdout, 'data')
  agent.stdin.write('go\n')
  const [, signal] = await once(agent, 'exit')
  assert.equal(signal, 'SIGKILL')
  assert.deepEqual(await ended(another(), RUN), { state: 'exited', exitCode: 0 })
  assert.equal(await starts(), 1)
})
