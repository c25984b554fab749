/** Tests of /readyz and /metrics while the database or a session of it keeps the agent from working. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pollUntil } from '../../src/system/timeout.ts'
import { session, value } from '../support/sql.ts'
import { type Agent, startAgent } from './support.ts'

const LIMIT_MS = 60_000

interface Cause {
  cause: string
  sentence: string
  hint: string
}

async function causeOf(agent: Agent, name: string): Promise<Cause | undefined> {
  const answer = await agent.get('/readyz')
  const { causes, ready } = await answer.json()
  assert.deepEqual([answer.status, ready], causes.length === 0 ? [200, true] : [503, false])
  return causes.find(({ cause }: Cause) => cause === name)
}

const untilCause = async (agent: Agent, name: string) => {
  const found = await pollUntil(() => causeOf(agent, name), LIMIT_MS)
  return found ?? assert.fail(`no cause ${name}`)
}

const untilReadyAgain = async (agent: Agent, name: string) =>
  assert.ok(await pollUntil(async () => !(await causeOf(agent, name)), LIMIT_MS), `still ${name}`)

test('an agent whose orchestrator reports is ready', async (t) => {
  const agent = await startAgent(t)
  await agent.admin.query("set application_name = 'bloud-orchestrator-test'")
  await agent.admin.query(
    "select bloud.acquire_lease('test', 3600), bloud.report_worker('test', now(), '[]')",
  )
  await untilReadyAgain(agent, 'no_worker')
  assert.equal((await agent.get('/readyz')).status, 200)
  assert.match(await (await agent.get('/metrics')).text(), /^bloud_ready 1$/m)
})

test('a session for which a transition waits is named by /readyz, /metrics and why()', async (t) => {
  const agent = await startAgent(t)
  await agent.admin.query("select bloud.install('beta')")
  const holder = await session(agent.database.urlFor('bloud_operator'))
  t.after(() => holder.end())
  // With immediate constraints a transaction holds the lock of the event numbers before its commit.
  await holder.query("set application_name = 'forgotten'; begin; set constraints all immediate")
  await holder.query("select bloud.install('alpha')")
  const pid = await value<number>(holder, 'select pg_backend_pid()')
  const waiting = agent.admin.query("select bloud.cancel('beta')")
  const { sentence, hint } = await untilCause(agent, 'locked')
  assert.match(sentence, new RegExp(`${pid} \\(role bloud_psql, application forgotten\\)`))
  assert.match(hint, new RegExp(`pg_terminate_backend\\(${pid}\\)`))
  const metrics = await (await agent.get('/metrics')).text()
  assert.match(metrics, /^bloud_not_ready\{cause="locked"\} 1$/m)
  const label = `bloud_blocking_session\\{pid="${pid}",role="bloud_psql",application="forgotten"\\} 1`
  assert.match(metrics, new RegExp(`^${label}$`, 'm'))
  const viewer = await session(agent.database.url)
  t.after(() => viewer.end())
  await viewer.query('set role bloud_viewer')
  const { rows } = await viewer.query("select answer from bloud.why('beta') where question = 'locked'")
  assert.match(rows[0]?.answer ?? '', /application forgotten/)
  await holder.query('rollback')
  await waiting
  await untilReadyAgain(agent, 'locked')
})

test('a server without a free connection makes the agent not ready, while open connections work', async (t) => {
  const agent = await startAgent(t)
  await agent.get('/api/apps')
  await agent.admin.query(`alter database "${agent.database.name}" connection limit 0`)
  const { sentence, hint } = await untilCause(agent, 'no_connection')
  assert.match(sentence, /too many connections/)
  assert.ok(hint)
  assert.equal((await agent.get('/api/apps')).status, 200)
})
