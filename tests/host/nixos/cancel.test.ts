import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { runPaths } from '../../../src/host/nixos/paths.ts'
import { isLocked } from '../../../src/system/filelock.ts'
import { ended, until } from '../../support/local-host.ts'
import { container, createTestMachine, type TestMachine } from '../../support/nixos-host.ts'

const RUN = { id: '1-1' }

async function atWork(machine: TestMachine, what: object): Promise<void> {
  await machine.scenario(what)
  await machine.host.configure([await container('one')])
  await machine.host.startSwitch(RUN)
  await until('it is at work', machine.held)
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

for (const what of [{ hang: 'evaluate' }, { hang: 'build' }, { hang: 'build', stubborn: true }]) {
  test(`a switch that hangs (${JSON.stringify(what)}) is stopped and leaves nothing behind`, async (t) => {
    const machine = await createTestMachine(t)
    await atWork(machine, what)
    assert.equal(await machine.host.stopSwitch(RUN), true)
    await assertNothingLeft(machine)
    assert.equal(await machine.host.generation(), null)
    assert.deepEqual(await machine.host.inspect(RUN), {
      state: 'exited',
      exitCode: what.stubborn ? 137 : 143,
    })
    await machine.scenario({})
    await machine.host.startSwitch({ id: '1-2' })
    assert.deepEqual(await ended(machine.host, { id: '1-2' }), { state: 'exited', exitCode: 0 })
  })
}

test('once activation has begun, a switch is not stopped, and ends by itself', async (t) => {
  const machine = await createTestMachine(t)
  await atWork(machine, { wait: 'activate' })
  assert.equal(await machine.host.stopSwitch(RUN), false)
  assert.deepEqual(await machine.host.inspect(RUN), { state: 'running', activating: true })
  await until('it is noted', () => existsSync(runPaths(machine.paths, RUN.id).activated))
  await machine.go()
  assert.deepEqual(await ended(machine.host, RUN), { state: 'exited', exitCode: 0 })
  // Its exit file is the last thing a run writes; then it still has to leave.
  await until('it has left', async () => (await machine.processes()).length === 0 || null)
  await assertNothingLeft(machine)
})

test('a switch that is over, or never was, is stopped already', async (t) => {
  const machine = await createTestMachine(t)
  assert.equal(await machine.host.stopSwitch({ id: '9-9' }), true)
  const { id } = await machine.switchTo([await container('one')])
  assert.equal(await machine.host.stopSwitch({ id }), true)
  assert.deepEqual(await machine.host.inspect({ id }), { state: 'exited', exitCode: 0 })
})

test('two agents that stop the same switch both learn that it is over', async (t) => {
  const machine = await createTestMachine(t)
  await atWork(machine, { hang: 'evaluate' })
  const both = await Promise.all([machine.host.stopSwitch(RUN), machine.another().stopSwitch(RUN)])
  assert.deepEqual(both, [true, true])
  await assertNothingLeft(machine)
})

test('what is no run id never becomes a path', async (t) => {
  const { host } = await createTestMachine(t)
  for (const id of ['', '..', '1', '1-', '../1-1', '1-1/..', '1-1\n', '1-1.5', `${'1'.repeat(13)}-1`]) {
    await assert.rejects(host.inspect({ id }), /is no run id/)
    await assert.rejects(host.startSwitch({ id }), /is no run id/)
  }
})
