/**
 * Tests that an app that starts together with the agent, or with a new supervisor, is not reported as
 * unhealthy before its time limit has passed.
 */
import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { statePaths } from '../../src/host/local/paths.ts'
import { supervisorState } from '../../src/host/local/statefiles.ts'
import type { TestProcess } from '../support/agent.ts'
import { makeHome } from '../support/home.ts'
import { until } from '../support/local-host.ts'
import { makeNixosHome, TO_RUNNING } from '../support/nixos-home.ts'
import { setDatabaseClock } from '../support/sql.ts'

const DEBUG = { BLOUD_LOG_LEVEL: 'debug' }
const FAILED_PROBE = /"problem":"/g
/** Matches if the last probe was healthy. */
const HEALTHY = /"problem":null(?![\s\S]*"problem":")/
/** Twice as many failed probes as make a running app unhealthy. */
const ENOUGH_FAILURES = 6

/** Installs an app that is healthy only while the file `listen` exists when its process starts. */
async function homeWithApp(t: TestContext, timeout: number) {
  const home = await makeHome(t)
  await home.addApp('app', 'waits', { healthCheck: { path: '/health', interval: 0.2, timeout } })
  const file = (name: string) => join(home.packages, 'app', name)
  const agent = await home.orchestrator(DEBUG)
  await writeFile(file('listen'), '')
  await home.sql.query("select bloud.install('app')")
  await home.until('app', 'running')
  await rm(file('listen'))
  return { ...home, agent, file }
}

async function becomesHealthySilently(
  { file, transitionsOf }: Awaited<ReturnType<typeof homeWithApp>>,
  agent: TestProcess,
): Promise<void> {
  const failures = agent.output().match(FAILED_PROBE)?.length ?? 0
  await agent.waitFor(new RegExp(`("problem":"[\\s\\S]*){${failures + ENOUGH_FAILURES}}`))
  await writeFile(file('listen'), '')
  await agent.waitFor(HEALTHY)
  assert.deepEqual(await transitionsOf('app'), TO_RUNNING)
}

test('an app that starts slowly stays running while the agent restarts', async (t) => {
  const home = await homeWithApp(t, 80)
  await home.agent.end('SIGTERM')
  await becomesHealthySilently(home, await home.orchestrator(DEBUG))
})

test('an app that became running while the clock was ahead may start slowly too', async (t) => {
  const home = await homeWithApp(t, 80)
  await home.agent.end('SIGTERM')
  await setDatabaseClock(home.sql, '-1 hour')
  await becomesHealthySilently(home, await home.orchestrator(DEBUG))
})

test('an app stays running while its killed supervisor is replaced', async (t) => {
  const home = await homeWithApp(t, 80)
  await home.agent.waitFor(HEALTHY)
  const paths = statePaths(join(home.dataDir, 'host'))
  const pid = (await supervisorState(paths))?.pid ?? 0
  process.kill(pid, 'SIGKILL')
  await until('another supervisor runs', async () => (await supervisorState(paths))?.pid !== pid)
  await becomesHealthySilently(home, home.agent)
})

test('an app that is not healthy within its time limit after a restart of the agent becomes an error', async (t) => {
  const home = await homeWithApp(t, 4)
  await home.agent.end('SIGTERM')
  const agent = await home.orchestrator(DEBUG)
  await home.until('app', 'error')
  const failures = agent.output().match(FAILED_PROBE)?.length ?? 0
  assert.ok(failures >= ENOUGH_FAILURES, 'the app was an error before its time limit')
})

test('an app that exits after each start becomes an error before its time limit', async (t) => {
  const home = await homeWithApp(t, 3600)
  await home.agent.end('SIGTERM')
  await writeFile(home.file('exit'), '')
  await home.orchestrator(DEBUG)
  await home.until('app', 'error')
  assert.match(String((await home.cause('app'))?.message), /ended with exit code 3$/)
})

test('an app that was healthy since its start is reported by a new orchestrator without delay', async (t) => {
  const home = await makeHome(t)
  const healthCheck = { path: '/health', interval: 0.2, timeout: 3600 }
  const port = await home.addApp('app', 'switchable', { healthCheck })
  const first = await home.orchestrator()
  await home.sql.query("select bloud.install('app')")
  await home.until('app', 'running')
  await first.end('SIGKILL')
  await home.expireLease()
  await fetch(`http://127.0.0.1:${port}/unhealthy`, { method: 'POST' })
  await home.orchestrator()
  await home.until('app', 'error')
})

test('on NixOS without systemd, the time limit begins with the start of the orchestrator', async (t) => {
  const home = await makeNixosHome(t)
  await home.addApp('app', { healthCheck: { path: '/health', interval: 0.2, timeout: 3600 } })
  const first = await home.orchestrator()
  await home.install('app')
  await home.until('app', 'running')
  await first.end('SIGTERM')
  const unit = await readFile(join(home.dataDir, 'machine/units/app'), 'utf8')
  process.kill(JSON.parse(unit).pid, 'SIGKILL')
  const agent = await home.orchestrator(DEBUG)
  await agent.waitFor(new RegExp(`("problem":"[\\s\\S]*){${ENOUGH_FAILURES}}`))
  assert.deepEqual(await home.transitionsOf('app'), TO_RUNNING)
})
