import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { runPaths } from '../../../src/host/nixos/paths.ts'
import { isLocked } from '../../../src/system/filelock.ts'
import { ended, until } from '../../support/local-host.ts'
import { container, createTestMachine, type TestMachine } from '../../support/nixos-host.ts'

const RUN = { id: '1-1' }

/** Starts the fake `nixos-rebuild switch`, and returns when it pauses at the step named in `scenario`. */
async function startHeld(machine: TestMachine, scenario: object): Promise<void> {
  await machine.scenario(scenario)
  await machine.host.configure([await container('one')])
  await machine.host.startSwitch(RUN)
  await until('the run is held', machine.held)
}

async function assertNothingLeft({ paths, processes, host }: TestMachine): Promise<void> {
  assert.deepEqual(await processes(), [])
  assert.equal(isLocked(runPaths(paths, RUN.id).lock), false)
  const files = await readdir(paths.state, { recursive: true })
  assert.deepEqual(
    files.filter((file) => file.endsWith('.tmp')),
    [],
  )
  assert.notEqual((await host.inspect(RUN)).state, 'running')
  JSON.parse(await readFile(paths.apps, 'utf8'))
}

for (const scenario of [{ hang: 'evaluate' }, { hang: 'build' }, { hang: 'build', stubborn: true }]) {
  test(`a switch that hangs (${JSON.stringify(scenario)}) is stopped and leaves nothing behind`, async (t) => {
    const machine = await createTestMachine(t)
    await startHeld(machine, scenario)
    assert.equal(await machine.host.stopSwitch(RUN), true)
    await assertNothingLeft(machine)
    assert.equal(await machine.host.generation(), null)
    assert.deepEqual(await machine.host.inspect(RUN), {
      state: 'exited',
      exitCode: scenario.stubborn ? 137 : 143,
    })
    await machine.scenario({})
    await machine.host.startSwitch({ id: '1-2' })
    assert.deepEqual(await ended(machine.host, { id: '1-2' }), { state: 'exited', exitCode: 0 })
  })
}

test('a run that has begun activation is not stopped and ends by itself', async (t) => {
  const machine = await createTestMachine(t)
  await startHeld(machine, { wait: 'activate' })
  assert.equal(await machine.host.stopSwitch(RUN), false)
  assert.deepEqual(await machine.host.inspect(RUN), { state: 'running', activating: true })
  await until('the activation is recorded', () => existsSync(runPaths(machine.paths, RUN.id).activated))
  await machine.go()
  assert.deepEqual(await ended(machine.host, RUN), { state: 'exited', exitCode: 0 })
  // The process that runs nixos-rebuild writes the exit code shortly before it ends.
  await until('the processes have ended', async () => (await machine.processes()).length === 0 || null)
  await assertNothingLeft(machine)
})

test('stopping a run that has ended or never existed succeeds', async (t) => {
  const machine = await createTestMachine(t)
  assert.equal(await machine.host.stopSwitch({ id: '9-9' }), true)
  const { id } = await machine.switchTo([await container('one')])
  assert.equal(await machine.host.stopSwitch({ id }), true)
  assert.deepEqual(await machine.host.inspect({ id }), { state: 'exited', exitCode: 0 })
})

test('two agents that stop the same run both succeed', async (t) => {
  const machine = await createTestMachine(t)
  await startHeld(machine, { hang: 'evaluate' })
  const both = await Promise.all([machine.host.stopSwitch(RUN), machine.another().stopSwitch(RUN)])
  assert.deepEqual(both, [true, true])
  await assertNothingLeft(machine)
})

test('a text that is not a run id never becomes a path', async (t) => {
  const { host } = await createTestMachine(t)
  for (const id of ['', '..', '1', '1-', '../1-1', '1-1/..', '1-1\n', '1-1.5', `${'1'.repeat(13)}-1`]) {
    await assert.rejects(host.inspect({ id }), /is not a run id/)
    await assert.rejects(host.startSwitch({ id }), /is not a run id/)
  }
})
