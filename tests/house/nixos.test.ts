/** The life of apps on a NixOS machine: the agent as it is, and a pretended nixos-rebuild. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { endMachine, machineSettings, makeMachine, writeScenario } from '../support/nixos-host.ts'

const TO_BUILDING = ['→queued', 'queued→configuring', 'configuring→building']
const TO_RUNNING = [...TO_BUILDING, 'building→starting', 'starting→running']

async function makeNixosHome(t: TestContext) {
  const home = await makeHome(t)
  const { profile, currentSystem, rebuild } = machineSettings(home.dataDir)
  await makeMachine(home.dataDir)
  t.after(() => endMachine(home.dataDir))
  const machine = (file: string) => join(home.dataDir, 'machine', file)
  const env = {
    BLOUD_HOST_KIND: 'nixos',
    BLOUD_NIXOS_PROFILE: profile,
    BLOUD_NIXOS_CURRENT_SYSTEM: currentSystem,
    BLOUD_NIXOS_REBUILD: rebuild ?? '',
  }
  return {
    ...home,
    orchestrator: () => home.orchestrator(env),
    addApp: (name: string, more = {}) =>
      home.addApp(name, 'healthy', { image: `example/${name}:1`, ...more }),
    install: (name: string) => home.sql.query('select bloud.install($1)', [name]),
    scenario: (what: object) => writeScenario(home.dataDir, what),
    starts: async () => (await readFile(machine('starts'), 'utf8')).trim().split('\n').length,
    configured: async () => {
      const text = await readFile(join(home.dataDir, 'nixos/config/apps.json'), 'utf8')
      return JSON.parse(text).apps.map(({ name }: { name: string }) => name)
    },
    /** The catalog is there from a first leader; so what is asked for next shares a rebuild. */
    async fillCatalog() {
      await (await home.orchestrator(env)).end('SIGTERM')
    },
  }
}

test('an app is installed, runs, is turned off, and purged', async (t) => {
  const home = await makeNixosHome(t)
  await home.addApp('good')
  await home.orchestrator()
  await home.install('good')
  await home.until('good', 'running')
  assert.deepEqual(await home.moves('good'), TO_RUNNING)
  await home.sql.query("select bloud.uninstall('good')")
  await home.until('good', 'stopped')
  assert.deepEqual(await home.configured(), [])
  await home.sql.query("select bloud.uninstall('good', purge => true)")
  await home.until('good', null)
})

test('a rollback goes back to the generation before, and the next install does not bring back what it took', async (t) => {
  const home = await makeNixosHome(t)
  for (const name of ['a', 'b', 'c']) await home.addApp(name)
  const agent = await home.orchestrator()
  for (const name of ['a', 'b']) {
    await home.install(name)
    await home.until(name, 'running')
  }
  const before = await home.moves('a')
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
  assert.deepEqual(await home.moves('a'), before)

  // Now generation 2, which was rolled back, lies between: --rollback would lead there.
  await home.sql.query('select bloud.rollback()')
  await home.untilTrue(
    "select exists (select from bloud.operations where kind = 'rollback' and state = 'failed')",
  )
  assert.match(
    String((await home.cause('c'))?.message ?? ''),
    /rollback did not succeed: generation 2 lies between/,
  )
  assert.deepEqual(await home.configured(), ['a', 'c'])
  assert.deepEqual((await home.sql.query('select * from bloud.check_invariants()')).rows, [])
})

test('a rollback whose activation fails leaves what was on configured', async (t) => {
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

test('ten apps asked for at once are one rebuild', async (t) => {
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

test('of good, bad and good the bad one fails alone, with its own reason, and is gone from the configuration', async (t) => {
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
  for (const name of ['one', 'two']) assert.deepEqual(await home.moves(name), TO_RUNNING)
})

test('a rebuild that is cancelled is stopped, and the next one goes well', async (t) => {
  const home = await makeNixosHome(t)
  await home.addApp('good')
  await home.scenario({ wait: 'build' })
  await home.orchestrator()
  await home.install('good')
  await home.until('good', 'building')
  await home.sql.query("select bloud.cancel('good')")
  await home.until('good', 'failed')
  assert.equal((await home.cause('good'))?.class, 'cancelled')
  await home.scenario({})
  await home.install('good')
  await home.until('good', 'running')
})
