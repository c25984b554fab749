import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { supervisorState } from '../../../src/host/local/statefiles.ts'
import { isLocked } from '../../../src/system/filelock.ts'
import { answer, createTestHost, get, until } from '../../support/local-host.ts'

const supervisorPid = async (paths: Parameters<typeof supervisorState>[0]) =>
  (await supervisorState(paths))?.pid ?? 0

test('starting twice, or from a second agent, keeps the one supervisor; only its owner stops it', async (t) => {
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

test('after stop and start, the apps that were on are on again', async (t) => {
  const { host, app, switchTo, processes } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  await host.stop()
  assert.deepEqual(await processes('unit'), [])
  await host.start()
  assert.equal(await answer(good), 'ok')
})

test('a supervisor killed with -9 comes back, and each app runs once', async (t) => {
  const { app, switchTo, paths, processes } = await createTestHost(t)
  const [one, forks] = [await app('one'), await app('forks', 'forks')]
  await switchTo([one, forks])
  const before = [await answer(one, '/pid'), await answer(forks, '/pid')]
  const old = await supervisorPid(paths)
  process.kill(old, 'SIGKILL')
  await until('another supervisor runs', async () => (await supervisorPid(paths)) !== old)
  await until('the old processes are gone', async () => {
    const now = await processes('unit')
    return before.every((pid) => !now.includes(Number(pid)))
  })
  await answer(one)
  await answer(forks)
  assert.equal((await processes('unit')).length, 3) // One, and forks with its child.
})

test('an app that is removed while no supervisor runs is ended by the next one', async (t) => {
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

test('an app that is killed is started again, and the child it left behind is gone', async (t) => {
  const { app, switchTo, processes, host } = await createTestHost(t)
  const forks = await app('forks', 'forks')
  await switchTo([forks])
  const pid = Number(await answer(forks, '/pid'))
  const before = await processes('unit')
  assert.equal(before.length, 2)
  process.kill(pid, 'SIGKILL')
  await until('it has another process', async () => {
    const now = await get(forks, '/pid')
    return now !== null && Number(now) !== pid
  })
  const now = await processes('unit')
  assert.equal(now.length, 2)
  assert.deepEqual(
    now.filter((one) => before.includes(one)),
    [],
  )
  assert.deepEqual(await host.unitState('forks'), { state: 'running', exitCode: 137, restarts: 1 })
})

test('removing an app ends all its processes, also one that ignores SIGTERM', async (t) => {
  const { app, switchTo, processes } = await createTestHost(t)
  const [forks, stubborn] = [await app('forks', 'forks'), await app('stubborn', 'stubborn')]
  await switchTo([forks, stubborn])
  await answer(forks)
  await answer(stubborn)
  assert.deepEqual((await switchTo([])).state, { state: 'exited', exitCode: 0 })
  assert.deepEqual(await processes('unit'), [])
})

test('asking again gives an app that keeps failing a fresh start', async (t) => {
  const { app, switchTo, host } = await createTestHost(t)
  const bad = await app('bad', 'exits')
  await switchTo([bad])
  await until('it pauses', async () => (await host.unitState('bad')).restarts >= 2)
  const { state, lines } = await switchTo([bad])
  assert.deepEqual(state, { state: 'exited', exitCode: 4 })
  assert.ok(lines.some((line) => line.includes('has all of this already')))
  assert.equal(await host.generation(), '1')
})

test('purging removes data and log, and nothing else; and never those of an app that is on', async (t) => {
  const { app, switchTo, host, dataDir } = await createTestHost(t)
  const [one, two] = [await app('one'), await app('two')]
  await switchTo([one, two])
  await answer(one)
  await assert.rejects(host.removeData('one'), /still installed/)
  await switchTo([two])
  const home = join(dataDir, 'apps', 'one')
  assert.ok(existsSync(home), 'uninstalling removed the data')
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

test('a port that another program uses is noticed before the install, but not the app itself', async (t) => {
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

test('files an app needs are written once, and then left to the user', async (t) => {
  const { app, switchTo, dataDir } = await createTestHost(t)
  const good = await app('good')
  const form = { ...good.catalog.npm, files: { 'etc/app.conf': 'port={port}\n' } }
  const withFile = { ...good, catalog: { ...good.catalog, npm: form as never } }
  await switchTo([withFile])
  await answer(good)
  const file = join(dataDir, 'apps', 'good', 'etc', 'app.conf')
  assert.equal(await readFile(file, 'utf8'), `port=${good.port}\n`)
})

test('what a killed supervisor has said is not believed once there is another', async (t) => {
  const { app, switchTo, host, paths } = await createTestHost(t)
  const stubborn = await app('stubborn', 'stubborn')
  await switchTo([stubborn])
  await answer(stubborn)
  const old = await supervisorPid(paths)
  process.kill(old, 'SIGKILL')
  // The next one first ends what was left, and this app takes its time.
  await until('another supervisor has the lock', () => isLocked(paths.supervisorLock))
  await until('it has said so', async () => (await supervisorPid(paths)) !== old)
  assert.equal((await supervisorState(paths))?.generation, null, 'it has looked already: this tests nothing')
  assert.equal((await host.unitState('stubborn')).state, 'unknown')
})

test('data is not deleted while the process of an app may still use it', async (t) => {
  const { app, switchTo, host, paths, dataDir } = await createTestHost(t)
  const one = await app('one')
  await switchTo([one])
  await answer(one)
  const pid = await supervisorPid(paths)
  process.kill(pid, 'SIGSTOP') // it does not notice that the app is to be off
  await rm(paths.current)
  const purge = assert.rejects(host.removeData('one'), /may still run \(state: running\)/)
  await purge.finally(() => process.kill(pid, 'SIGCONT'))
  assert.ok(existsSync(join(dataDir, 'apps', 'one')))
  await until('the app is off', async () => (await host.unitState('one')).state === 'stopped')
  await host.removeData('one')
  assert.equal(existsSync(join(dataDir, 'apps', 'one')), false)
})
