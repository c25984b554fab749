import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { runPaths } from '../../../src/host/nixos/paths.ts'
import { monotonicMs } from '../../../src/system/monotonic.ts'
import { until } from '../../support/local-host.ts'
import {
  container,
  createTestMachine,
  machineSettings,
  REBUILD,
  type TestMachine,
} from '../../support/nixos-host.ts'

const RUN = { id: '3-2' }
const PROGRAM = join(import.meta.dirname, '../../../src/host/nixos/rebuild.ts')
const OTHER_UID = 65_534
const isRoot = process.geteuid?.() === 0

function unit(
  { paths, dataDir }: TestMachine,
  command = [REBUILD, join(paths.runs, '0-0')],
  options: string[] = [],
) {
  const { profile, currentSystem } = machineSettings(dataDir)
  const from = ['--state', paths.state, '--profile', profile, '--current', currentSystem, ...options, '--']
  const child = spawn(process.execPath, [PROGRAM, ...from, ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return { child, ended: once(child, 'exit').then(([code]) => code as number) }
}

/** Creates a test machine with a request for `nixos-rebuild switch` that no systemd unit has taken yet. */
async function requested(t: Parameters<typeof createTestMachine>[0]) {
  const machine = await createTestMachine(t)
  const host = machine.another({ rebuild: undefined })
  await host.configure([await container('one')])
  await host.startSwitch(RUN)
  return { ...machine, host, files: runPaths(machine.paths, RUN.id) }
}

test('the request file for a switch contains only the id of the run', async (t) => {
  const machine = await requested(t)
  assert.equal(await readFile(machine.paths.request, 'utf8'), '3-2\n')
  assert.deepEqual(await machine.host.inspect(RUN), { state: 'running' })
  assert.equal(await unit(machine).ended, 0)
  assert.deepEqual(await machine.host.inspect(RUN), { state: 'exited', exitCode: 0 })
  assert.equal(existsSync(machine.paths.request), false)
  assert.equal(existsSync(machine.files.activated), true)
  assert.equal(await unit(machine).ended, 0)
  assert.equal(await machine.starts(), 1)
})

test('a rollback has its own request file, which only the rollback unit takes', async (t) => {
  const machine = await createTestMachine(t)
  const host = machine.another({ rebuild: undefined })
  await host.startSwitch(RUN, '1 (whatever)')
  assert.equal(await readFile(machine.paths.rollback, 'utf8'), '3-2\n')
  assert.equal(existsSync(machine.paths.request), false)
  assert.deepEqual(await host.inspect(RUN), { state: 'running' })
  assert.equal(await unit(machine).ended, 0)
  assert.equal(existsSync(runPaths(machine.paths, RUN.id).exit), false, 'the rebuild unit does nothing')
  assert.equal(await unit(machine, ['/bin/true'], ['--rollback']).ended, 0)
  assert.deepEqual(await host.inspect(RUN), { state: 'exited', exitCode: 0 })
  assert.equal(existsSync(machine.paths.rollback), false)
  await host.startSwitch({ id: '4-1' }, '1 (whatever)')
  assert.equal(await host.stopSwitch({ id: '4-1' }), true)
  assert.equal(existsSync(machine.paths.rollback), false, 'stopped before its start')
})

test('a run stopped before its unit starts never begins', async (t) => {
  const machine = await requested(t)
  assert.equal(await machine.host.stopSwitch(RUN), true)
  assert.equal(existsSync(machine.paths.request), false)
  await writeFile(machine.paths.request, '3-2\n') // a systemd unit may have read this request before the stop
  assert.equal(await unit(machine).ended, 0)
  assert.equal(await machine.starts(), 0)
  assert.deepEqual(await machine.host.inspect(RUN), { state: 'lost' })
})

test('a request that no unit takes within 60 s is lost and never starts later', async (t) => {
  const machine = await requested(t)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 61_000 })
  assert.deepEqual(await machine.host.inspect(RUN), { state: 'lost' })
  t.mock.timers.reset()
  await unit(machine).ended
  assert.equal(await machine.starts(), 0)
})

test('a stop file ends a running unit', async (t) => {
  const machine = await requested(t)
  await machine.scenario({ hang: 'build' })
  const { ended } = unit(machine)
  await until('the command hangs', machine.held)
  assert.equal(await machine.host.stopSwitch(RUN), true)
  assert.equal(await ended, 143)
})

test('a request file without a valid run id starts nothing', async (t) => {
  const machine = await requested(t)
  for (const text of ['../../etc', '3-2; id', '-1', '4-4', '3-2\n3-3']) {
    await writeFile(machine.paths.request, text)
    assert.notEqual(await unit(machine).ended, undefined)
    assert.equal(await machine.starts(), 0, text)
  }
})

test('started as root, the program writes files as the agent, and only the command runs as root', {
  skip: isRoot ? false : 'not root',
}, async (t) => {
  const machine = await requested(t)
  await changeOwner(machine)
  const { ended } = unit(machine, ['/bin/sh', '-c', 'id -u; id -ru; id -g; id -rg'])
  assert.equal(await ended, 0)
  assert.deepEqual((await machine.host.readLog(RUN, 0, 1_000)).lines, ['0', '0', '0', '0'])
  for (const file of [machine.files.log, machine.files.exit, machine.files.claim]) {
    assert.equal((await stat(file)).uid, OTHER_UID, file)
  }
})

test('a provided app may already use its port, and its state is that of its unit', async (t) => {
  const machine = await createTestMachine(t)
  const postgres = await container('postgres')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(postgres.port, '127.0.0.1', resolve))
  t.after(() => server.close())
  const host = machine.another({ provided: { postgres: 'postgresql.service' } })
  assert.equal(await host.preflight(postgres, []), null)
  assert.match(String(await machine.another().preflight(postgres, [])), /is already used/)
  const active = 'ActiveState=active\\nSubState=running\\n'
  const body = `test "$2" = postgresql.service || exit 1\nprintf '${active}'`
  await script(join(machine.dataDir, 'machine/systemctl'), body)
  assert.equal((await host.unitState('postgres')).state, 'running')
  assert.equal((await host.unitState('wiki')).state, 'unknown')
})

test('started as root, the program follows no link of the agent to a file that only root may write', {
  skip: isRoot ? false : 'not root',
}, async (t) => {
  const machine = await requested(t)
  const precious = join(machine.dataDir, 'precious')
  await writeFile(precious, 'root only', { mode: 0o600 })
  await changeOwner(machine)
  await symlink(precious, machine.files.log)
  assert.equal(await unit(machine).ended, 1)
  assert.equal(await readFile(precious, 'utf8'), 'root only')
  assert.equal(await machine.starts(), 0)
})

/** Changes the owner of the state directory, because the agent on a real machine does not run as root. */
async function changeOwner({ dataDir, paths }: TestMachine): Promise<void> {
  await chmod(dataDir, 0o755)
  const run = runPaths(paths, RUN.id)
  for (const path of [paths.state, paths.runs, run.dir, join(paths.request, '..'), paths.request]) {
    await chown(path, OTHER_UID, OTHER_UID)
  }
}

const script = async (path: string, text: string) => writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })

test('the state and the last output of a container are read from systemd', async (t) => {
  const { host, dataDir } = await createTestMachine(t)
  assert.deepEqual(await host.unitState('wiki'), {
    state: 'unknown',
    exitCode: null,
    restarts: 0,
    series: null,
    startedMsAgo: null,
  })
  assert.deepEqual(await host.appLog('wiki', 5), [])
  const printState = (text: string) =>
    script(join(dataDir, 'machine/systemctl'), `test "$2" = podman-wiki.service || exit 1\nprintf '${text}'`)
  await printState(
    'ActiveState=active\\nSubState=running\\nNRestarts=2\\nExecMainStatus=0\\nExecMainExitTimestampMonotonic=0\\n',
  )
  assert.deepEqual(await host.unitState('wiki'), {
    state: 'running',
    exitCode: null,
    restarts: 2,
    series: null,
    startedMsAgo: null,
  })
  await printState(
    'ActiveState=activating\\nSubState=auto-restart\\nNRestarts=3\\nExecMainStatus=125\\nExecMainExitTimestampMonotonic=9\\n',
  )
  assert.deepEqual(await host.unitState('wiki'), {
    state: 'backoff',
    exitCode: 125,
    restarts: 3,
    series: null,
    startedMsAgo: null,
  })
  const oneSecondAgo = (monotonicMs() - 1_000) * 1_000 // in microseconds, as systemd prints it
  await printState(
    `ActiveState=active\\nSubState=running\\nNRestarts=0\\nActiveEnterTimestampMonotonic=${oneSecondAgo}\\n`,
  )
  const { startedMsAgo } = await host.unitState('wiki')
  assert.ok(startedMsAgo !== null && startedMsAgo >= 1_000 && startedMsAgo < 90_000, `${startedMsAgo}`)
  await printState('LoadState=not-found\\nActiveState=inactive\\nSubState=dead\\n')
  assert.equal((await host.unitState('wiki')).state, 'stopped')
  await script(join(dataDir, 'machine/journalctl'), `printf 'one\\ntwo\\n\\033[31mthree\\033[0m\\n'`)
  assert.deepEqual(await host.appLog('wiki', 2), ['two', 'three'])
  await assert.rejects(async () => host.appLog('--help', 2), /is not an app name/)
})
