/** Tests which statuses an app has one after the other, when operations succeed and when they fail. */
import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'

const TO_BUILDING = ['→queued', 'queued→configuring', 'configuring→building']
const TO_RUNNING = [...TO_BUILDING, 'building→starting', 'starting→running']

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

test('an app is installed, runs, is uninstalled with its data kept, and purged', async (t) => {
  const home = await makeHome(t)
  const port = await home.addApp('good')
  await home.orchestrator()
  await home.sql.query("select bloud.install('good')")
  await home.until('good', 'running')
  assert.deepEqual(await home.transitionsOf('good'), TO_RUNNING)
  const pid = Number(await (await fetch(`http://127.0.0.1:${port}/pid`)).text())
  const { rows } = await home.sql.query('select line from bloud.operation_log(1, 0, 10000)')
  assert.ok(
    rows.some(({ line }) => line.includes('installing')),
    'the log of the rebuild is in the database',
  )

  await home.sql.query("select bloud.uninstall('good')")
  await home.until('good', 'stopped')
  assert.throws(() => process.kill(pid, 0), 'its process is gone')
  assert.ok(await exists(join(home.dataDir, 'apps/good')), 'its data is kept')

  await home.sql.query("select bloud.uninstall('good', purge => 'good')")
  await home.until('good', null)
  assert.equal(await exists(join(home.dataDir, 'apps/good')), false, 'its data is gone')
  const states = await home.sql.query('select distinct state from bloud.operations')
  assert.deepEqual(states.rows, [{ state: 'succeeded' }])
})

test('a package that does not exist fails while building, with the reason; other apps are untouched', async (t) => {
  const home = await makeHome(t)
  await home.addApp('good')
  await home.addApp('next')
  await home.addApp('bad', 'healthy', { npm: { package: 'file:/nowhere/at/all', bin: 'app' } })
  await home.orchestrator()
  await home.sql.query("select bloud.install('good')")
  await home.until('good', 'running')
  const [unit] = await home.processes('unit')
  await home.sql.query("select bloud.install('bad')")
  await home.until('bad', 'failed')
  assert.deepEqual(await home.transitionsOf('bad'), [...TO_BUILDING, 'building→failed'])
  const cause = await home.cause('bad')
  assert.match(String(cause?.message), /nowhere/)
  assert.ok(Array.isArray(cause?.log) && cause.log.length > 0, 'the last lines of the log are there')

  await home.sql.query("select bloud.install('next')")
  await home.until('next', 'running')
  assert.deepEqual(await home.transitionsOf('good'), TO_RUNNING, 'no other app has changed its status')
  assert.ok((await home.processes('unit')).includes(unit as number), 'nor was it restarted')
})

test('a bad app in a rebuild fails alone, and the other apps run', async (t) => {
  const home = await makeHome(t)
  for (const name of ['one', 'two']) await home.addApp(name)
  await home.addApp('bad', 'healthy', { npm: { package: 'file:/nowhere/at/all', bin: 'app' } })
  for (const name of ['one', 'bad', 'two']) {
    // The orchestrator is stopped after it has stored the catalog, so that all installs are queued when the
    // next orchestrator starts, which includes them in one rebuild.
    if (name === 'one') await (await home.orchestrator()).end('SIGTERM')
    await home.sql.query('select bloud.install($1)', [name])
  }
  await home.orchestrator()
  await home.until('one', 'running')
  await home.until('two', 'running')
  await home.until('bad', 'failed')
  for (const name of ['one', 'two']) assert.deepEqual(await home.transitionsOf(name), TO_RUNNING)
})

test('an app that exits at once is in error, with its exit code and last lines of output', async (t) => {
  const home = await makeHome(t)
  await home.addApp('exits', 'exits')
  await home.orchestrator()
  await home.sql.query("select bloud.install('exits')")
  await home.until('exits', 'error')
  assert.deepEqual(await home.transitionsOf('exits'), [...TO_BUILDING, 'building→starting', 'starting→error'])
  const cause = await home.cause('exits')
  assert.match(String(cause?.message), /exit code 3/)
  assert.match(String(cause?.log), /cannot find the settings file/)
})

test('an app that never responds is in error after its own timeout', async (t) => {
  const home = await makeHome(t)
  await home.addApp('silent', 'silent', { healthCheck: { path: '/health', interval: 1, timeout: 2 } })
  await home.orchestrator()
  await home.sql.query("select bloud.install('silent')")
  await home.until('silent', 'error')
  assert.deepEqual(await home.transitionsOf('silent'), [
    ...TO_BUILDING,
    'building→starting',
    'starting→error',
  ])
  assert.equal((await home.cause('silent'))?.class, 'timeout')
})

test('an app without HTTP is healthy as long as it accepts connections', async (t) => {
  const home = await makeHome(t)
  await home.addApp('mute', 'silent', { healthCheck: { kind: 'tcp', interval: 0.2, timeout: 20 } })
  await home.orchestrator()
  await home.sql.query("select bloud.install('mute')")
  await home.until('mute', 'running')
  assert.deepEqual(await home.transitionsOf('mute'), TO_RUNNING)
})

test('a running app that becomes unhealthy is in error, and running again when it is healthy', async (t) => {
  const home = await makeHome(t)
  const port = await home.addApp('switchable', 'switchable')
  await home.orchestrator()
  await home.sql.query("select bloud.install('switchable')")
  await home.until('switchable', 'running')
  await fetch(`http://127.0.0.1:${port}/unhealthy`, { method: 'POST' })
  await home.until('switchable', 'error')
  assert.match(String((await home.cause('switchable'))?.message), /503/)
  await fetch(`http://127.0.0.1:${port}/healthy`, { method: 'POST' })
  await home.until('switchable', 'running')
  assert.equal(await home.cause('switchable'), null)
})

test('a cancel while building ends all processes of the rebuild, and the next install succeeds', async (t) => {
  const home = await makeHome(t)
  await home.addApp('slow', 'slow-install')
  await home.addApp('next')
  await home.orchestrator()
  await home.sql.query("select bloud.install('slow')")
  await home.untilTrue("select exists (select from bloud.rebuild_log where line like '%installing%slow%')")
  await home.sql.query("select bloud.cancel('slow')")
  await home.until('slow', 'failed')
  assert.equal((await home.cause('slow'))?.class, 'cancelled')
  assert.deepEqual([await home.processes('npm'), await home.processes('switch')], [[], []])
  await home.sql.query("select bloud.install('next')")
  await home.until('next', 'running')
})

test('an install fails before the build if another program uses the port', async (t) => {
  const home = await makeHome(t)
  const port = await home.addApp('good')
  await home.orchestrator()
  const { createServer } = await import('node:net')
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', () => resolve()))
  await home.sql.query("select bloud.install('good')")
  await home.until('good', 'failed')
  assert.deepEqual(await home.transitionsOf('good'), ['→queued', 'queued→configuring', 'configuring→failed'])
  assert.equal((await home.cause('good'))?.class, 'preflight')
  await new Promise((resolve) => squatter.close(resolve))
  await home.sql.query("select bloud.retry('good')")
  await home.until('good', 'running')
})
