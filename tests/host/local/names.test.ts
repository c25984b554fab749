/** Tests of the local host with names that every plain object inherits, such as `constructor`. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { evaluate } from '../../../src/host/local/evaluation.ts'
import { sameApps } from '../../../src/host/local/generation.ts'
import { answer, createTestHost, get, until } from '../../support/local-host.ts'
import { PROTOTYPE_NAMES } from '../../support/prototype-names.ts'

const LEGAL = PROTOTYPE_NAMES.filter((name) => /^[a-z][a-z0-9-]*$/.test(name))

test('an app called constructor is installed, restarted and uninstalled beside another app', async (t) => {
  const { host, switchTo, app, dataDir } = await createTestHost(t)
  const [good, other] = [await app('good'), await app('constructor')]
  assert.deepEqual((await switchTo([good])).state, { state: 'exited', exitCode: 0 })
  const pid = await answer(good, '/pid')
  assert.deepEqual((await host.unitState('constructor')).state, 'stopped')
  assert.deepEqual((await switchTo([good, other])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await answer(other), 'ok')
  assert.equal((await host.unitState('constructor')).state, 'running')
  assert.deepEqual((await switchTo([good])).state, { state: 'exited', exitCode: 0 })
  await until('constructor ends', async () => ((await get(other, '/pid')) === null ? true : null))
  assert.ok(existsSync(join(dataDir, 'apps/constructor')))
  await host.removeData('constructor')
  assert.equal(existsSync(join(dataDir, 'apps/constructor')), false)
  assert.equal(await answer(good, '/pid'), pid, 'the other app was not restarted')
})

test('data of an app called constructor can be deleted while it was never installed', async (t) => {
  const { host, switchTo, app, dataDir } = await createTestHost(t)
  await switchTo([await app('good')])
  await mkdir(join(dataDir, 'apps/constructor'), { recursive: true })
  await host.removeData('constructor')
  assert.equal(existsSync(join(dataDir, 'apps/constructor')), false)
})

test('a program with an inherited name that the package lacks is reported by name', async (t) => {
  const { host, switchTo, app } = await createTestHost(t)
  for (const bin of ['constructor', 'toString']) {
    const good = await app('good')
    good.catalog.npm = { ...good.catalog.npm, bin } as never
    const { id } = await switchTo([good])
    const { failures } = await host.result({ id })
    assert.match(failures.good?.message ?? '', new RegExp(`has no program called ${bin}`))
  }
})

test('the check of the apps names each app with an inherited name that has a problem', async (t) => {
  const { app } = await createTestHost(t)
  assert.deepEqual(LEGAL, ['constructor'])
  const [good, other] = [await app('good'), await app('constructor')]
  assert.deepEqual(evaluate([good, other], []), {})
  const failures = evaluate([good, { ...other, port: good.port }], ['good'])
  assert.match(Object(failures).constructor?.message ?? '', /already used by good/)
  assert.equal(sameApps({}, { constructor: {} } as never), false)
})

test('an app whose log would be the log of the database server is refused with the reason', async (t) => {
  const { host, app } = await createTestHost(t)
  const { catalog } = await app('postgresql')
  assert.match(host.cannotInstall(catalog) ?? '', /log of the database server/)
  assert.equal(host.cannotInstall((await app('postgres')).catalog), null)
})
