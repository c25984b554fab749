import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { supervisorState } from '../../../src/host/local/statefiles.ts'
import { isLocked } from '../../../src/system/filelock.ts'
import { MARK, readMark } from '../../../src/system/processgroup.ts'
import { answer, createTestHost, get, until } from '../../support/local-host.ts'

const supervisorPid = async (paths: Parameters<typeof supervisorState>[0]) =>
  (await supervisorState(paths))?.pid ?? 0

test('there is one supervisor for all agents, and only the agent that started it stops it', async (t) => {
  const { host, another, paths, app, switchTo } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  const pid = await supervisorPid(paths)
  const second = another()
  await Promise.all([host.start(), second.start()])
  assert.equal(await supervisorPid(paths), pid)
  await second.stop()
  assert.equal(await answer(good), 'ok')
  await host.stop()
  assert.equal(await get(good, '/health'), null)
  assert.equal((await host.unitState('good')).state, 'unknown')
})

test('after stop and start, the same apps run again', async (t) => {
  const { host, app, switchTo, processes } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  await host.stop()
  assert.deepEqual(await processes('unit'), [])
  await host.start()
  assert.equal(await answer(good), 'ok')
})

test('a supervisor killed with SIGKILL is restarted, and each app runs once', async (t) => {
  const { app, switchTo, paths, processes } = await createTestHost(t)
  const [one, forks] = [await app('one'), await app('forks', 'forks')]
  await switchTo([one, forks])
  const before = [await answer(one, '/pid'), await answer(forks, '/pid')]
  const old = await supervisorPid(paths)
  process.kill(old, 'SIGKILL')
  await until('another supervisor runs', async () => (await supervisorPid(paths)) !== old)
  await until('the old processes have ended', async () => {
    const now = await processes('unit')
    return before.every((pid) => !now.includes(Number(pid)))
  })
  await answer(one)
  await answer(forks)
  assert.equal((await processes('unit')).length, 3) // `one`, and `forks` with its child.
})

test('an app that is uninstalled while no supervisor runs is stopped by the next supervisor', async (t) => {
  const { host, app, switchTo, paths, processes } = await createTestHost(t)
  const forks = await app('forks', 'forks')
  await switchTo([forks])
  await answer(forks)
  const old = await supervisorPid(paths)
  process.kill(old, 'SIGKILL')
  assert.deepEqual((await switchTo([])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await host.generation(), '2')
  assert.deepEqual(await processes('unit'), [])
})

test('an app that is killed is restarted, and its remaining child process is terminated', async (t) => {
  const { app, switchTo, processes, host } = await createTestHost(t)
  const forks = await app('forks', 'forks')
  await switchTo([forks])
  const pid = Number(await answer(forks, '/pid'))
  const before = await processes('unit')
  assert.equal(before.length, 2)
  process.kill(pid, 'SIGKILL')
  await until('the app has another process', async () => {
    const now = await get(forks, '/pid')
    return now !== null && Number(now) !== pid
  })
  const now = await processes('unit')
  assert.equal(now.length, 2)
  assert.deepEqual(
    now.filter((pid) => before.includes(pid)),
    [],
  )
  const { startedMsAgo, series, ...unit } = await host.unitState('forks')
  assert.deepEqual(unit, { state: 'running', exitCode: 137, restarts: 1 })
  assert.ok(series)
  assert.ok(startedMsAgo !== null && startedMsAgo >= 1_000, 'the time of the first start, not of the restart')
})

test('uninstalling an app ends all its processes, even a process that ignores SIGTERM', async (t) => {
  const { app, switchTo, processes } = await createTestHost(t)
  const [forks, stubborn] = [await app('forks', 'forks'), await app('stubborn', 'stubborn')]
  await switchTo([forks, stubborn])
  await answer(forks)
  await answer(stubborn)
  assert.deepEqual((await switchTo([])).state, { state: 'exited', exitCode: 0 })
  assert.deepEqual(await processes('unit'), [])
})

test('the pause before each restart of a failing app is twice as long as before', async (t) => {
  const { app, switchTo, host } = await createTestHost(t)
  await switchTo([await app('bad', 'exits')])
  const pauses = async () =>
    (await host.appLog('bad', 100)).flatMap((line) => /next start in (\d+) s/.exec(line)?.[1] ?? [])
  await until('the app has ended three times', async () => (await pauses()).length >= 3)
  assert.deepEqual((await pauses()).slice(0, 3), ['1', '2', '4'])
})

test('a new switch restarts a failing app at once', async (t) => {
  const { app, switchTo, host } = await createTestHost(t)
  const bad = await app('bad', 'exits')
  await switchTo([bad])
  await until('the app waits for its next restart', async () => (await host.unitState('bad')).restarts >= 2)
  const { state, lines } = await switchTo([bad])
  assert.deepEqual(state, { state: 'exited', exitCode: 4 })
  assert.ok(lines.some((line) => line.includes('has all of this already')))
  assert.equal(await host.generation(), '1')
})

test('purging deletes only the data and log of that app, and is refused for an installed app', async (t) => {
  const { app, switchTo, host, dataDir } = await createTestHost(t)
  const [one, two] = [await app('one'), await app('two')]
  await switchTo([one, two])
  await answer(one)
  await assert.rejects(host.removeData('one'), /still installed/)
  await switchTo([two])
  const home = join(dataDir, 'apps', 'one')
  assert.ok(existsSync(home), 'uninstalling deleted the data')
  await host.removeData('one')
  await host.removeData('one')
  assert.equal(existsSync(home), false)
  assert.equal(existsSync(join(dataDir, 'logs', 'one.log')), false)
  assert.equal(await answer(two), 'ok')
  for (const name of ['', '.', '..', '../two', 'two/..', '/etc', 'Two', 'two ', 'a\0b']) {
    await assert.rejects(host.removeData(name), /is not an app name/)
    await assert.rejects(host.appLog(name, 1), /is not an app name/)
  }
})

test('preflight refuses a port that another program uses, but not the port of the app itself', async (t) => {
  const { app, switchTo, host } = await createTestHost(t)
  const good = await app('good')
  const server = createServer().listen(good.port, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  assert.match((await host.preflight(good, [])) ?? '', /already used by another program/)
  await new Promise((resolve) => server.close(resolve))
  assert.equal(await host.preflight(good, []), null)
  await switchTo([good])
  await answer(good)
  assert.equal(await host.preflight(good, ['good']), null)
  const twin = { ...(await app('twin')), port: good.port }
  assert.match((await host.preflight(twin, ['good'])) ?? '', /already used by good/)
})

test('the initial files of an app are written once, and not overwritten later', async (t) => {
  const { app, switchTo, dataDir } = await createTestHost(t)
  const good = await app('good')
  const form = { ...good.catalog.npm, files: { 'etc/app.conf': 'port={port}\n' } }
  const withFile = { ...good, catalog: { ...good.catalog, npm: form as never } }
  await switchTo([withFile])
  await answer(good)
  const file = join(dataDir, 'apps', 'good', 'etc', 'app.conf')
  assert.equal(await readFile(file, 'utf8'), `port=${good.port}\n`)
})

test('a supervisor that is stopped while it starts ends by itself', async (t) => {
  const { host, paths } = await createTestHost(t)
  await host.stop()
  // Simulates an app process that an earlier supervisor left running. The process ignores SIGTERM, so that
  // the new supervisor is still starting when the test stops it.
  const script = 'trap "echo stopping" TERM; echo ready; while :; do sleep 0.1; done'
  const env = { PATH: process.env.PATH, [MARK]: `${await readMark(paths.mark)}/unit/old` }
  const old = spawn('sh', ['-c', script], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  await once(old.stdout, 'data')
  const program = join(import.meta.dirname, '../../../src/host/local/supervisormain.ts')
  const supervisor = spawn(process.execPath, [program, '--state', paths.state], { stdio: 'ignore' })
  t.after(() => supervisor.kill('SIGKILL'))
  await once(old.stdout, 'data')
  supervisor.kill('SIGTERM')
  old.kill('SIGKILL')
  await until('the supervisor has ended', () => supervisor.exitCode !== null || supervisor.signalCode)
  assert.equal(supervisor.exitCode, 0)
})

test('the state file of a killed supervisor is ignored after another supervisor has started', async (t) => {
  const { app, switchTo, host, paths } = await createTestHost(t)
  const stubborn = await app('stubborn', 'stubborn')
  await switchTo([stubborn])
  await answer(stubborn)
  const old = await supervisorPid(paths)
  process.kill(old, 'SIGKILL')
  // The new supervisor takes the lock first, and writes its state file only after it has stopped the
  // processes of the killed supervisor.
  await until('another supervisor has the lock', () => isLocked(paths.supervisorLock))
  await until('the state file is of the new supervisor', async () => (await supervisorPid(paths)) !== old)
  assert.equal(
    (await supervisorState(paths))?.generation,
    null,
    'the new supervisor has already applied the generation: the test was too late',
  )
  assert.equal((await host.unitState('stubborn')).state, 'unknown')
})

test('an activation is complete only when the supervisor has applied its generation', async (t) => {
  const { app, switchTo, host, paths } = await createTestHost(t)
  await switchTo([await app('good')])
  await host.stop()
  // As the supervisor finds it if it reads the generation before the switch, and the activation after it.
  await writeFile(paths.activation, JSON.stringify({ id: 'next', generation: 2 }))
  await host.start()
  await until('the generation is applied', async () => (await supervisorState(paths))?.generation === 1)
  assert.equal((await supervisorState(paths))?.activation, null)
})

test('data is not deleted while the process of an app may still use the files', async (t) => {
  const { app, switchTo, host, paths, dataDir } = await createTestHost(t)
  const one = await app('one')
  await switchTo([one])
  await answer(one)
  const pid = await supervisorPid(paths)
  process.kill(pid, 'SIGSTOP') // The supervisor is paused, so that the supervisor can't stop the app.
  await rm(paths.current)
  const purge = assert.rejects(host.removeData('one'), /may still run \(state: running\)/)
  await purge.finally(() => process.kill(pid, 'SIGCONT'))
  assert.ok(existsSync(join(dataDir, 'apps', 'one')))
  await until('the app has stopped', async () => (await host.unitState('one')).state === 'stopped')
  await host.removeData('one')
  assert.equal(existsSync(join(dataDir, 'apps', 'one')), false)
})
