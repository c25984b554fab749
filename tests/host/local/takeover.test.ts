/** Tests of what a host takes over: earlier restarts, an earlier supervisor, a failed start. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chown, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { APP_USER } from '../../../src/host/local/appuser.ts'
import { createLocalHost } from '../../../src/host/local/host.ts'
import { supervisorState } from '../../../src/host/local/statefiles.ts'
import { findUser } from '../../../src/system/systemuser.ts'
import { publicDirectories, temporaryDirectory } from '../../support/directory.ts'
import { answer, createTestHost, until, wanted } from '../../support/local-host.ts'
import { freePort } from '../../support/port.ts'

const top = temporaryDirectory()
const publicDirectory = publicDirectories()
const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot && process.platform === 'linux' ? false : 'only for root on Linux' }

test('crashes after a switch belong to a new series of restarts', async (t) => {
  const { app, switchTo, host } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  const crash = async () => {
    process.kill(Number(await answer(good, '/pid')), 'SIGKILL')
    return until('the app runs again', async () => {
      const unit = await host.unitState('good')
      return unit.state === 'running' && unit.restarts > 0 && unit
    })
  }
  const before = await crash()
  await answer(good)
  await switchTo([good])
  const { restarts, series } = await host.unitState('good')
  assert.equal(restarts, 0)
  assert.notEqual(series, before.series)
  const after = await crash()
  assert.deepEqual([after.restarts, after.series], [1, series])
})

test('a supervisor whose apps run as root is replaced', onlyRoot, async (t) => {
  const { app, switchTo, host, paths, dataDir, another } = await createTestHost(t, {
    parent: publicDirectory(),
  })
  const good = await app('good')
  await switchTo([good])
  await answer(good)
  await host.stop()
  // Simulates the supervisor of an earlier agent, which runs the apps as root.
  const home = join(dataDir, 'apps', 'good')
  await chown(home, 0, 0)
  const program = join(import.meta.dirname, '../../../src/host/local/supervisormain.ts')
  const old = spawn(process.execPath, [program, '--state', paths.state], { stdio: 'ignore', detached: true })
  t.after(() => old.kill('SIGKILL'))
  const before = Number(await answer(good, '/pid'))
  assert.equal((await stat(`/proc/${before}`)).uid, 0)
  const next = another()
  t.after(() => next.stop())
  await Promise.all([next.start(), until('the old supervisor has ended', () => old.exitCode === 0)])
  assert.notEqual((await supervisorState(paths))?.pid, old.pid)
  const pid = await until('the app has another process', async () => {
    const found = Number(await answer(good, '/pid'))
    return found !== before && found
  })
  const user = await findUser(APP_USER)
  assert.equal((await stat(`/proc/${pid}`)).uid, user?.uid)
  assert.equal((await stat(home)).uid, user?.uid)
})

test('a host that could not start because of its data folder starts after the cause is gone', async (t) => {
  const dataDir = join(top, 'data')
  await writeFile(dataDir, 'a file in the place of the folder')
  const host = createLocalHost({ dataDir, environment: process.env })
  t.after(() => host.stop())
  await assert.rejects(host.start())
  await rm(dataDir)
  await mkdir(dataDir)
  await host.start()
  assert.deepEqual(await host.problems?.(), [])
})

test('the port of an app with an inherited name that is not installed has no known owner', async (t) => {
  const { host, switchTo, app } = await createTestHost(t)
  await switchTo([await app('good')])
  const other = wanted('constructor', await freePort(), 'file:/nowhere')
  assert.deepEqual(await host.portOwner(other), { owner: 'unknown' })
})
