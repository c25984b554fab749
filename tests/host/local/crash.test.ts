import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { answer, createTestHost, ended, until } from '../../support/local-host.ts'
import { letInstall } from '../../support/packages.ts'

/**
 * Times in ms from the start of switch.ts (the switch command of the local host) until it is killed. Without
 * the kill, switch.ts ends after about 2.5 s.
 */
const MOMENTS = [0, 40, 120, 250, 400, 600, 800, 1000, 1300, 1800]

test('a switch killed with SIGKILL at any moment is lost or done, and the next switch works', async (t) => {
  const { host, app, switchTo, processes, paths } = await createTestHost(t)
  const apps = []
  for (const [index, moment] of MOMENTS.entries()) {
    apps.push(await app(`app-${index}`))
    const run = { id: `kill-${index}` }
    await host.configure(apps)
    await host.startSwitch(run)
    await sleep(moment)
    for (const pid of await processes('switch')) process.kill(pid, 'SIGKILL')
    const { state } = await ended(host, run)
    assert.ok(state === 'lost' || state === 'exited', state)
  }
  const { state, lines } = await switchTo(apps)
  assert.deepEqual(state, { state: 'exited', exitCode: 0 }, lines.join('\n'))
  for (const each of apps) assert.equal(await answer(each), 'ok')
  assert.equal((await processes('unit')).length, apps.length)
  assert.deepEqual(await processes('npm'), [])
  const names = [...(await readdir(paths.store)), ...(await readdir(paths.generations))]
  assert.deepEqual(
    names.filter((name) => name.startsWith('.')),
    [],
  )
})

test('npm that a killed switch left running is terminated before the next switch begins', async (t) => {
  const { host, app, packages, switchTo, processes } = await createTestHost(t)
  const slow = await app('slow', 'slow-install')
  const run = { id: '4-1' }
  await host.configure([slow])
  await host.startSwitch(run)
  await until('the install script runs', async () => {
    const { lines } = await host.readLog(run, 0, 1_000_000)
    return lines.some((line) => line.includes('preinstall is waiting'))
  })
  for (const pid of await processes('switch')) process.kill(pid, 'SIGKILL')
  assert.deepEqual(await ended(host, run), { state: 'lost' })
  const good = await app('good')
  assert.deepEqual((await switchTo([good])).state, { state: 'exited', exitCode: 0 })
  assert.deepEqual(await processes('npm'), [])
  await letInstall(packages, 'slow')
  assert.deepEqual((await switchTo([good, slow])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await answer(slow), 'ok')
})

test('two switches that are started at the same time run one after the other', async (t) => {
  const { host, app } = await createTestHost(t)
  const good = await app('good')
  await host.configure([good])
  await Promise.all([host.startSwitch({ id: 'a' }), host.startSwitch({ id: 'b' })])
  assert.deepEqual(await ended(host, { id: 'a' }), { state: 'exited', exitCode: 0 })
  assert.deepEqual(await ended(host, { id: 'b' }), { state: 'exited', exitCode: 0 })
  assert.equal(await host.generation(), '1')
})
