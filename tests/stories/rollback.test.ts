/**
 * Tests of rollbacks to the previous generation (a complete configuration that can be activated again) on the
 * local host (apps as child processes, without NixOS).
 */
import assert from 'node:assert/strict'
import { access, readlink, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeHome } from '../support/home.ts'

async function makeStory(t: TestContext, ...names: string[]) {
  const home = await makeHome(t)
  const ports = new Map<string, number>()
  for (const name of names) ports.set(name, await home.addApp(name))
  const operation = async (kind: string) =>
    (
      await home.sql.query(
        'select state, cause from bloud.operations where kind = $1 order by id desc limit 1',
        [kind],
      )
    ).rows[0]
  return {
    ...home,
    operation,
    host: (...path: string[]) => join(home.dataDir, 'host', ...path),
    pid: async (name: string) => (await fetch(`http://127.0.0.1:${ports.get(name)}/pid`)).text(),
    async install(name: string) {
      await home.sql.query('select bloud.install($1)', [name])
      await home.until(name, 'running')
    },
    rollback: () => home.sql.query('select bloud.rollback()'),
    rolledBack: () =>
      home.untilTrue(
        "select not exists (select from bloud.operations where kind = 'rollback' and state in ('queued', 'active'))",
      ),
    isSound: async () =>
      assert.deepEqual((await home.sql.query('select * from bloud.check_invariants()')).rows, []),
  }
}

test('a rollback stops the last installed app, leaves the others running, and the next install does not restart that app', async (t) => {
  const home = await makeStory(t, 'a', 'b', 'c')
  await home.orchestrator()
  await home.install('a')
  await home.install('b')
  const pid = await home.pid('a')
  const before = await home.transitionsOf('a')
  await home.rollback()
  await home.until('b', 'stopped')
  assert.equal((await home.operation('rollback')).state, 'succeeded')
  await assert.rejects(home.pid('b'), 'no process listens on its port')
  await access(home.host('..', 'apps/b')) // a rollback keeps the data of app b
  assert.equal(await readlink(home.host('current')), 'generations/1')

  await home.install('c')
  assert.deepEqual((await home.transitionsOf('b')).slice(-2), ['running→stopping', 'stopping→stopped'])
  await assert.rejects(home.pid('b'))
  assert.equal(await home.pid('a'), pid, 'the same process all along')
  assert.deepEqual(await home.transitionsOf('a'), before)
  await home.isSound()
})

test('a rollback starts the last uninstalled app again', async (t) => {
  const home = await makeStory(t, 'a', 'b')
  await home.orchestrator()
  await home.install('a')
  await home.install('b')
  await home.sql.query("select bloud.uninstall('a')")
  await home.until('a', 'stopped')
  await home.rollback()
  await home.until('a', 'running')
  assert.ok(await home.pid('a'))
  assert.deepEqual((await home.transitionsOf('a')).slice(-5), [
    'stopped→queued',
    'queued→configuring',
    'configuring→building',
    'building→starting',
    'starting→running',
  ])
  await home.isSound()
})

test('a rollback to a missing generation changes nothing and fails with the reason', async (t) => {
  const home = await makeStory(t, 'a', 'b')
  await home.orchestrator()
  await home.install('a')
  await home.install('b')
  await rm(home.host('generations/1'), { recursive: true })
  const pid = await home.pid('b')
  await home.rollback()
  await home.rolledBack()
  const { state, cause } = await home.operation('rollback')
  assert.deepEqual(
    [state, cause.class, cause.message],
    ['failed', 'preflight', 'The rollback did not succeed: generation 1 does not exist any more'],
  )
  await home.until('b', 'running') // waits, because the status is error until the next health check
  assert.equal(await home.pid('b'), pid)
  await home.isSound()
})

test('a rollback fails if another program has switched the machine', async (t) => {
  const home = await makeStory(t, 'a', 'b')
  await home.orchestrator()
  await home.install('a')
  await home.install('b')
  await rm(home.host('current'))
  await symlink('generations/1', home.host('current'))
  await home.rollback()
  await home.rolledBack()
  const { state, cause } = await home.operation('rollback')
  assert.equal(state, 'failed')
  assert.match(cause.message, /generation 1 is active, not 2 of the agent/)
  await home.isSound()
})

test('the next orchestrator finishes the rollback of a killed orchestrator, and starts no switch twice', async (t) => {
  const home = await makeStory(t, 'a', 'b')
  const first = await home.orchestrator()
  await home.install('a')
  await home.install('b')
  await home.rollback()
  // Waits until the rollback itself runs. If the orchestrator were killed earlier, the next one would start
  // the rollback again.
  await home.untilTrue(
    "select exists (select from bloud.rebuild_log where line like 'going back to generation 1%')",
  )
  await first.end('SIGKILL')
  await home.expireLease()
  await home.orchestrator()
  await home.until('b', 'stopped')
  const { rows } = await home.sql.query(
    'select state, run, generation_before, generation_after from bloud.rebuilds where rolls_back_to is not null',
  )
  assert.deepEqual(rows, [{ state: 'succeeded', run: 1, generation_before: '2', generation_after: '1' }])
  await home.isSound()
})
