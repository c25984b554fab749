import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { answer, createTestHost, ended, get, until, wanted } from '../../support/local-host.ts'
import { letInstall } from '../../support/packages.ts'

test('an app is installed, runs on its port, and the log of the run shows each phase', async (t) => {
  const { host, switchTo, app } = await createTestHost(t)
  const good = await app('good')
  assert.equal(await host.generation(), null)
  const { state, lines, id } = await switchTo([good])
  assert.deepEqual(state, { state: 'exited', exitCode: 0 })
  assert.equal(await answer(good), 'ok')
  assert.equal(await host.generation(), '1')
  assert.deepEqual(await host.result({ id }), { failures: {} })
  const phases = ['evaluating configuration', 'building generation 1', 'activating generation 1', 'done']
  assert.deepEqual(
    lines.filter((line) => phases.includes(line)),
    phases,
  )
  assert.ok(lines.some((line) => line.startsWith('installing file:')))
  assert.deepEqual(await host.appLog('good', 1), ['ready'])
})

test('an app gets its own settings, and no variables from the environment of the agent', async (t) => {
  process.env.DATABASE_URL = 'postgres://secret'
  t.after(() => delete process.env.DATABASE_URL)
  const { switchTo, app, dataDir } = await createTestHost(t)
  const good = await app('good')
  good.catalog.npm = { ...good.catalog.npm, environment: { WHERE: '{dataDir}:{port}' } } as never
  await switchTo([good])
  const env = JSON.parse(await answer(good, '/env'))
  const home = join(dataDir, 'apps', 'good')
  assert.deepEqual(Object.keys(env).sort(), [
    'BLOUD_MARK',
    'HOME',
    'LANG',
    'NODE_ENV',
    'PATH',
    'PORT',
    'WHERE',
  ])
  assert.equal(env.WHERE, `${home}:${good.port}`)
  assert.equal(env.HOME, home)
})

test('a second switch with the same configuration keeps the generation and the process', async (t) => {
  const { host, switchTo, app } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  const pid = await answer(good, '/pid')
  const { state } = await switchTo([good])
  assert.deepEqual(state, { state: 'exited', exitCode: 0 })
  assert.equal(await host.generation(), '1')
  assert.equal(await answer(good, '/pid'), pid)
})

test('installing or uninstalling a second app does not restart the first', async (t) => {
  const { switchTo, app, host } = await createTestHost(t)
  const [one, two] = [await app('one'), await app('two')]
  await switchTo([one])
  const pid = await answer(one, '/pid')
  await switchTo([one, two])
  await answer(two)
  assert.equal(await answer(one, '/pid'), pid)
  await switchTo([one])
  assert.equal(await get(two, '/health'), null)
  assert.equal(await answer(one, '/pid'), pid)
  assert.equal((await host.unitState('two')).state, 'stopped')
})

test('all missing packages are reported, nothing is activated, and the good app installs next', async (t) => {
  const { host, switchTo, app } = await createTestHost(t)
  const good = await app('good')
  const missing = wanted('missing', good.port + 1, 'file:/does/not/exist')
  const unknown = wanted('unknown', good.port + 2, '@bloud-host-agent/there-is-no-such-package')
  const { state, id, lines } = await switchTo([missing, good, unknown])
  assert.deepEqual(state, { state: 'exited', exitCode: 1 })
  assert.equal(await host.generation(), null)
  const { failures } = await host.result({ id })
  assert.deepEqual(Object.keys(failures).sort(), ['missing', 'unknown'])
  assert.equal(failures.missing?.class, 'build')
  assert.match(failures.unknown?.message ?? '', /is not in the npm registry/)
  assert.ok((failures.unknown?.log.length ?? 0) > 0)
  assert.ok(lines.some((line) => line.startsWith('error: unknown: ')))
  assert.equal(await get(good, '/health'), null)

  const next = await switchTo([good])
  assert.deepEqual(next.state, { state: 'exited', exitCode: 0 })
  assert.ok(
    next.lines.some((line) => line.endsWith('is in the store')),
    'the app was installed twice',
  )
})

test('an app without an npm package is refused before any app is installed', async (t) => {
  const { host, switchTo, app, paths } = await createTestHost(t)
  const good = await app('good')
  const { npm: _, ...image } = { ...good.catalog, name: 'film', displayName: 'Film', image: 'film/film:1' }
  const film = { name: 'film', port: good.port + 1, catalog: image, integrationConfig: {} }
  assert.match(host.cannotInstall(image) ?? '', /^Film is published as a container image; .*NixOS host\.$/)
  const { state, id } = await switchTo([good, film])
  assert.deepEqual(state, { state: 'exited', exitCode: 1 })
  assert.equal((await host.result({ id })).failures.film?.class, 'evaluate')
  assert.deepEqual(await readdir(paths.store).catch(() => []), [])
})

test('of two apps with one port, the installed app keeps it and the other is refused', async (t) => {
  const { host, app, switchTo } = await createTestHost(t)
  const first = await app('first')
  await switchTo([first])
  const another = { ...(await app('another')), port: first.port }
  const { state, id } = await switchTo([another, first])
  assert.deepEqual(state, { state: 'exited', exitCode: 1 })
  const { failures } = await host.result({ id })
  assert.deepEqual(Object.keys(failures), ['another'])
  assert.equal(failures.another?.message, `Port ${first.port} is already used by first.`)
  assert.equal(await answer(first), 'ok')
})

test('an app that exits at once is reported with its last output; the other apps keep running', async (t) => {
  const { host, switchTo, app } = await createTestHost(t)
  const [good, bad] = [await app('good'), await app('bad', 'exits')]
  const { state, id } = await switchTo([good, bad])
  assert.deepEqual(state, { state: 'exited', exitCode: 4 })
  const { failures } = await host.result({ id })
  assert.deepEqual(Object.keys(failures), ['bad'])
  assert.equal(failures.bad?.class, 'activate')
  assert.match(failures.bad?.message ?? '', /exit code 3/)
  assert.ok(failures.bad?.log.includes('cannot find the settings file'))
  assert.equal(await answer(good), 'ok')
  await until('the app is restarted', async () => (await host.unitState('bad')).restarts > 0)
  assert.equal((await host.unitState('bad')).exitCode, 3)

  const pid = await answer(good, '/pid')
  assert.deepEqual((await switchTo([good])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await answer(good, '/pid'), pid)
})

test('a run starts at most once, even when several agents start it several times', async (t) => {
  const { host, app, another } = await createTestHost(t)
  const run = { id: '9-1' }
  assert.deepEqual(await host.inspect(run), { state: 'absent' })
  await host.configure([await app('good')])
  const second = another()
  await Promise.all([host.startSwitch(run), host.startSwitch(run), second.startSwitch(run)])
  assert.deepEqual(await second.inspect(run), { state: 'running' })
  assert.deepEqual(await ended(second, run), { state: 'exited', exitCode: 0 })
  await host.startSwitch(run)
  assert.deepEqual(await host.inspect(run), { state: 'exited', exitCode: 0 })
  const { lines } = await host.readLog(run, 0, 1_000_000)
  assert.equal(lines.filter((line) => line === 'evaluating configuration').length, 1)
  assert.ok(!lines.some((line) => line.includes('started before')), 'the run was started twice')
})

test('a switch that is stopped during an install leaves no process, no folder and no change', async (t) => {
  const { host, app, packages, paths, processes, switchTo } = await createTestHost(t)
  const slow = await app('slow', 'slow-install')
  const run = { id: '7-1' }
  await host.configure([slow])
  await host.startSwitch(run)
  await until('the install script runs', async () => {
    const { lines } = await host.readLog(run, 0, 1_000_000)
    return lines.some((line) => line.includes('preinstall is waiting'))
  })
  assert.ok((await processes('npm')).length > 0)
  assert.equal(await host.stopSwitch(run), true)
  assert.deepEqual(await processes('npm'), [])
  assert.deepEqual(await processes('switch'), [])
  assert.deepEqual(await readdir(paths.store), [])
  assert.equal(await host.generation(), null)
  assert.deepEqual(await host.inspect(run), { state: 'exited', exitCode: 143 })
  assert.equal(await host.stopSwitch(run), true)

  await letInstall(packages, 'slow')
  assert.deepEqual((await switchTo([slow])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await answer(slow), 'ok')
})

test('a run that is stopped before it begins never begins', async (t) => {
  const { host, app } = await createTestHost(t)
  const run = { id: '6-1' }
  await host.configure([await app('good')])
  await host.startSwitch(run)
  assert.equal(await host.stopSwitch(run), true)
  assert.notEqual((await ended(host, run)).state, 'running')
  assert.equal(await host.generation(), null)
})

test('after activation has begun, stopping is refused and the switch succeeds', async (t) => {
  const { host, app, processes, switchTo } = await createTestHost(t)
  const good = await app('good')
  const run = { id: '5-1' }
  await host.configure([good])
  await host.startSwitch(run)
  await until('the generation is active', async () => (await host.generation()) === '1')
  assert.equal(await host.stopSwitch(run), false)
  for (const pid of await processes('switch')) process.kill(pid, 'SIGTERM')
  assert.deepEqual(await ended(host, run), { state: 'exited', exitCode: 0 })
  assert.equal(await answer(good), 'ok')
  assert.deepEqual((await switchTo([])).state, { state: 'exited', exitCode: 0 })
})

test('the configuration is one sorted file, equal for the same apps in any order', async (t) => {
  const { host, app, paths } = await createTestHost(t)
  const [one, two] = [await app('one'), await app('two')]
  const read = () => readFile(join(paths.config, 'apps.json'), 'utf8')
  await host.configure([two, one])
  const first = await read()
  await host.configure([one, { ...two, integrationConfig: {} }])
  assert.equal(await read(), first)
  assert.deepEqual(await readdir(paths.config), ['apps.json'])
})
