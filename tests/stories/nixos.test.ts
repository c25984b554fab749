/**
 * Tests of installs and other operations on a simulated NixOS machine, with the agent's real processes and a
 * program in place of nixos-rebuild.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { makeNixosHome, TO_BUILDING, TO_RUNNING } from '../support/nixos-home.ts'

test('an app is installed, runs, is uninstalled, and purged', async (t) => {
  const home = await makeNixosHome(t)
  await home.addApp('good')
  await home.orchestrator()
  await home.install('good')
  await home.until('good', 'running')
  assert.deepEqual(await home.transitionsOf('good'), TO_RUNNING)
  await home.sql.query("select bloud.uninstall('good')")
  await home.until('good', 'stopped')
  assert.deepEqual(await home.configured(), [])
  await home.sql.query("select bloud.uninstall('good', purge => 'good')")
  await home.until('good', null)
})

test('a rollback activates the previous generation, and the next install does not restart the removed app', async (t) => {
  const home = await makeNixosHome(t)
  for (const name of ['a', 'b', 'c']) await home.addApp(name)
  const agent = await home.orchestrator()
  for (const name of ['a', 'b']) {
    await home.install(name)
    await home.until(name, 'running')
  }
  const before = await home.transitionsOf('a')
  await home.scenario({ kill: { at: 'activate', pids: [agent.child.pid] } })
  await home.sql.query('select bloud.rollback()')
  await agent.ended
  await home.scenario({})
  await home.orchestrator()
  await home.until('b', 'stopped')
  assert.deepEqual(await home.configured(), ['a'])
  assert.equal(await home.starts(), 3, 'nothing was started twice')
  await home.install('c')
  await home.until('c', 'running')
  assert.deepEqual(await home.configured(), ['a', 'c'])
  assert.deepEqual(await home.transitionsOf('a'), before)

  // Generation 1 (configuration with app a) was active before app c. `nixos-rebuild --rollback` would
  // activate generation 2, which contains app b, because it only goes to the next lower number. So the
  // rollback is refused.
  await home.sql.query('select bloud.rollback()')
  const failed = "from bloud.operations where kind = 'rollback' and state = 'failed'"
  await home.untilTrue(`select exists (select ${failed})`)
  const { rows } = await home.sql.query(`select cause ->> 'message' as message ${failed}`)
  assert.match(rows[0].message, /rollback did not succeed: generation 2 lies between/)
  assert.deepEqual(await home.configured(), ['a', 'c'])
  assert.deepEqual((await home.sql.query('select * from bloud.check_invariants()')).rows, [])
})

test('a rollback whose activation fails keeps the configured apps', async (t) => {
  const home = await makeNixosHome(t)
  for (const name of ['a', 'b']) await home.addApp(name)
  await home.orchestrator()
  for (const name of ['a', 'b']) {
    await home.install(name)
    await home.until(name, 'running')
  }
  await home.scenario({ activateFails: true })
  await home.sql.query('select bloud.rollback()')
  await home.until('b', 'error')
  assert.match(String((await home.cause('b'))?.message), /^The rollback did not succeed: /)
  await home.until('b', 'running')
  await home.untilTrue("select not exists (select from bloud.rebuilds where state = 'active')")
  assert.deepEqual((await home.sql.query('select * from bloud.check_invariants()')).rows, [])
})

test('ten installs requested at once become one rebuild', async (t) => {
  const home = await makeNixosHome(t)
  const names = Array.from({ length: 10 }, (_, index) => `app-${index}`)
  for (const name of names) await home.addApp(name)
  await home.fillCatalog()
  for (const name of names) await home.install(name)
  await home.orchestrator()
  for (const name of names) await home.until(name, 'running')
  assert.equal(await home.starts(), 1)
  assert.deepEqual(await home.configured(), names)
})

test('a bad app in a rebuild fails alone, with its own cause, and is removed from the configuration', async (t) => {
  const home = await makeNixosHome(t)
  for (const name of ['one', 'bad', 'two', 'next']) await home.addApp(name)
  await home.scenario({ evaluateFails: ['bad'] })
  await home.fillCatalog()
  for (const name of ['one', 'bad', 'two']) await home.install(name)
  await home.orchestrator()
  for (const name of ['one', 'two']) await home.until(name, 'running')
  await home.until('bad', 'failed')
  const cause = await home.cause('bad')
  assert.equal(cause?.class, 'evaluate')
  assert.match(String(cause?.message), /^A definition for option is not of type/)
  assert.deepEqual(await home.configured(), ['one', 'two'])
  await home.install('next')
  await home.until('next', 'running')
  for (const name of ['one', 'two']) assert.deepEqual(await home.transitionsOf(name), TO_RUNNING)
})

test('an app whose evaluation fails is failed with the reason, and is removed from the configuration', async (t) => {
  const home = await makeNixosHome(t)
  for (const name of ['good', 'bad', 'next']) await home.addApp(name)
  await home.scenario({ evaluateFails: ['bad'] })
  await home.orchestrator()
  await home.install('good')
  await home.until('good', 'running')
  await home.install('bad')
  await home.until('bad', 'failed')
  assert.deepEqual(await home.transitionsOf('bad'), [...TO_BUILDING, 'building→failed'])
  await home.untilConfigured('good')
  await home.install('next')
  await home.until('next', 'running')
  assert.deepEqual(await home.transitionsOf('good'), TO_RUNNING, 'no other app has changed its status')
})

test('a new lease holder removes a failed app that the previous holder left in the configuration', async (t) => {
  const home = await makeNixosHome(t)
  await home.addApp('bad')
  await home.scenario({ evaluateFails: ['bad'] })
  const leader = await home.orchestrator()
  await home.install('bad')
  await home.until('bad', 'failed')
  await leader.end('SIGTERM')
  await writeFile(home.paths.apps, JSON.stringify({ version: 1, apps: [{ name: 'bad', port: 1 }] }))
  await home.orchestrator()
  await home.untilConfigured()
})

test('an app that never responds is in error, and a retry brings it to running', async (t) => {
  const home = await makeNixosHome(t)
  await home.addApp('silent', { healthCheck: { path: '/health', interval: 0.2, timeout: 1 } })
  await home.scenario({ unitsFail: ['silent'] })
  await home.orchestrator()
  await home.install('silent')
  await home.until('silent', 'error')
  assert.deepEqual(await home.transitionsOf('silent'), [
    ...TO_BUILDING,
    'building→starting',
    'starting→error',
  ])
  await home.scenario({})
  await home.sql.query("select bloud.retry('silent')")
  await home.until('silent', 'running')
})
