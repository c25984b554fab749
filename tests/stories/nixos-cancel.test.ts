/** Tests that cancel an install in each of its phases on NixOS. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { runPaths } from '../../src/host/nixos/paths.ts'
import { until } from '../support/local-host.ts'
import { makeNixosHome, type NixosHome, TO_BUILDING, TO_RUNNING } from '../support/nixos-home.ts'
import { refusalOf, session, value } from '../support/sql.ts'

async function begin(t: TestContext, scenario: object, ...more: string[]) {
  const home = await makeNixosHome(t)
  for (const name of ['app', 'next', ...more]) await home.addApp(name)
  await home.scenario(scenario)
  await home.orchestrator()
  const relay = await home.relay()
  const cancel = async (name: string) => {
    const answer = await fetch(`${relay.address}/api/apps/${name}/cancel`, { method: 'POST' })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  return { ...home, relay, cancel }
}

/** Checks that the cancelled install has left nothing behind, and that another install succeeds. */
async function assertCancelled(home: Omit<NixosHome, 'relay'>, moves: string[]): Promise<void> {
  await home.until('app', 'failed')
  assert.deepEqual(await home.transitionsOf('app'), moves)
  assert.equal((await home.cause('app'))?.class, 'cancelled')
  await home.untilConfigured() // waits, because the agent may still write the configuration
  assert.deepEqual(await home.leftovers(), [])
  assert.equal(await value(home.sql, "select state from bloud.operations where app = 'app'"), 'cancelled')
  await home.scenario({})
  await home.install('next')
  await home.until('next', 'running')
  assert.deepEqual(await home.configured(), ['next'])
}

test('a cancel ends a queued install at once', async (t) => {
  const home = await begin(t, { wait: 'build' }, 'first')
  await home.install('first')
  await home.held('build')
  await home.install('app')
  assert.equal((await home.cancel('app')).body.state, 'cancelled')
  assert.deepEqual(await home.transitionsOf('app'), ['→queued', 'queued→failed'])
  await home.go()
  await home.until('first', 'running')
  assert.deepEqual([await home.configured(), await home.starts()], [['first'], 1])
})

test('a cancel during the configuration leaves nothing behind', async (t) => {
  const home = await begin(t, { wait: 'activate' })
  const holder = await session(home.database.url)
  t.after(() => holder.end())
  await holder.query('select pg_advisory_lock(1)')
  await home.sql.query(`
    create function public.hold() returns trigger language plpgsql security definer as
      $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
    create trigger hold before update of status on bloud.apps for each row
      when (old.status = 'configuring') execute function public.hold()`)
  await home.install('app')
  await home.until('app', 'configuring')
  assert.equal((await home.cancel('app')).status, 202)
  await holder.query('select pg_advisory_unlock(1)')
  await assertCancelled(home, [...TO_BUILDING, 'building→failed'])
  assert.equal(await home.starts(), 1, 'only the next app was built')
})

for (const phase of ['evaluate', 'build']) {
  test(`a cancel ends the processes of Nix in the phase ${phase}`, async (t) => {
    const home = await begin(t, { hang: phase })
    await home.install('app')
    await home.held(phase)
    assert.equal((await home.cancel('app')).status, 202)
    await assertCancelled(home, [...TO_BUILDING, 'building→failed'])
  })
}

test('a cancel during the activation is refused with the reason', async (t) => {
  const home = await begin(t, { wait: 'activate' })
  await home.install('app')
  await home.untilTrue('select exists (select from bloud.rebuilds where activated_at is not null)')
  const refusal = await refusalOf(home.sql, "select bloud.cancel('app')")
  assert.equal(refusal.code, 'BL014')
  assert.match(`${refusal.message} ${refusal.detail}`, /is being activated.*never interrupted/)
  const { status, body } = await home.cancel('app')
  assert.deepEqual([status, body.code], [409, 'too_late_to_cancel'])
  assert.match(String(body.detail), /is being activated.*never interrupted/s)
  const controls = await value<Record<string, object>>(
    home.sql,
    "select controls from bloud.app_status where name = 'app'",
  )
  assert.deepEqual(controls.cancel, { allowed: false, code: 'BL014', reason: refusal.message })
  await home.go()
  await home.until('app', 'running')
  assert.deepEqual(await home.transitionsOf('app'), TO_RUNNING)
  assert.equal(
    await value(home.sql, "select warnings from bloud.app_status where name = 'app'").then(String),
    '',
  )
})

test('an accepted cancel that reaches the rebuild too late is withdrawn, with a warning on the app', async (t) => {
  const home = await begin(t, { wait: 'build', stubborn: true })
  await home.install('app')
  await home.held('build')
  assert.equal((await home.cancel('app')).status, 202)
  // The simulated nixos-rebuild ignores SIGTERM in this test, so it continues after the cancel.
  const [run] = await readdir(home.paths.runs)
  const { log } = runPaths(home.paths, run ?? '')
  await until('the log reports the interruption', async () =>
    (await readFile(log, 'utf8')).includes('SIGTERM ignored'),
  )
  // The activation takes 6.5 s. It must not be killed, although the time between SIGTERM and SIGKILL is
  // shorter.
  await home.scenario({ lines: 65, everyMs: 100, stubborn: true })
  await home.go()
  await home.until('app', 'running')
  assert.deepEqual(await home.transitionsOf('app'), TO_RUNNING)
  const answer = await fetch(`${home.relay.address}/api/apps/app`)
  const { cancel_requested_at, warnings } = (await answer.json()) as Record<string, unknown>
  assert.equal(cancel_requested_at, null)
  assert.match(String(warnings), /^The cancel came too late: the machine was already being switched over/)
})

test('a cancel of a starting app is refused with the reason', async (t) => {
  const home = await begin(t, { unitsFail: ['app'] })
  await home.install('app')
  await home.until('app', 'starting')
  const { status, body } = await home.cancel('app')
  assert.deepEqual([status, body.code], [409, 'too_late_to_cancel'])
  assert.match(String(body.detail), /app is already active/)
})
