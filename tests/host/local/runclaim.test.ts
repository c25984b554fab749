/** Tests that no two processes of switch.ts work at the same time, and that none does a run a second time. */
import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../../src/config.ts'
import { startProcess } from '../../support/agent.ts'
import { createTestHost, ended, runFiles, type TestHost, until } from '../../support/local-host.ts'
import { letInstall } from '../../support/packages.ts'

/** Starts switch.ts for the run as the host does, but even if the run was started before. */
function startSwitchAgain({ paths }: TestHost, id: string) {
  const { dir } = runFiles(paths, id)
  const args = ['--config', paths.config, '--state', paths.state, '--run', dir, '--npm', '["npm"]']
  return startProcess(process.execPath, [join(ROOT, 'src/host/local/switch.ts'), ...args])
}

/** Starts a run whose install waits until `letInstall` is called, and returns when the install has begun. */
async function startWaitingRun({ host, app }: TestHost, id: string): Promise<void> {
  await host.configure([await app('slow', 'slow-install')])
  await host.startSwitch({ id })
  await until('the install script runs', async () => {
    const { lines } = await host.readLog({ id }, 0, 1_000_000)
    return lines.some((line) => line.includes('preinstall is waiting'))
  })
}

test('a switch that finds another one at work changes nothing, and the other one succeeds', async (t) => {
  const machine = await createTestHost(t)
  const { host, app, packages } = machine
  await startWaitingRun(machine, 'first')
  await host.configure([await app('good')])
  await host.startSwitch({ id: 'second' })
  assert.deepEqual(await ended(host, { id: 'second' }), { state: 'exited', exitCode: 1 })
  const { lines } = await host.readLog({ id: 'second' }, 0, 1_000_000)
  assert.ok(lines.includes('error: another switch is running'), lines.join('\n'))
  assert.equal(await host.generation(), null)
  await letInstall(packages, 'slow')
  assert.deepEqual(await ended(host, { id: 'first' }), { state: 'exited', exitCode: 0 })
  assert.equal(await host.generation(), '1')
})

test('a second process for a run that is at work, or has ended, does nothing', async (t) => {
  const machine = await createTestHost(t)
  const { host, packages, paths } = machine
  await startWaitingRun(machine, 'only')
  const during = startSwitchAgain(machine, 'only')
  assert.notEqual(await during.ended, 0)
  assert.match(during.output(), /started before/)
  assert.equal((await host.inspect({ id: 'only' })).state, 'running')
  await letInstall(packages, 'slow')
  assert.deepEqual(await ended(host, { id: 'only' }), { state: 'exited', exitCode: 0 })
  const { mtimeMs } = await stat(runFiles(paths, 'only').exit)
  const afterwards = startSwitchAgain(machine, 'only')
  assert.notEqual(await afterwards.ended, 0)
  assert.match(afterwards.output(), /started before/)
  assert.equal((await stat(runFiles(paths, 'only').exit)).mtimeMs, mtimeMs)
})
