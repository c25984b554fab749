/** Tests which PostgreSQL roles the processes of a running agent use. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { databaseUrl, readCredentials } from '../../src/postgres/embedded.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startWholeAgent, type WholeAgent } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { session } from '../support/sql.ts'

const top = temporaryDirectory()
const READY_LIMIT_MS = 30_000
const SESSIONS = `select distinct split_part(application_name, '-', 2) as process, usename as login
  from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() order by 1`

async function start(
  t: TestContext,
  dataDir: string,
  more: Record<string, string> = {},
): Promise<WholeAgent> {
  const agent = startWholeAgent(dataDir, await freePort(), more)
  t.after(() => agent.end('SIGTERM'))
  await agent.up()
  const ready = async () => (await fetch(`${agent.address}/readyz`)).ok
  assert.ok(await pollUntil(ready, READY_LIMIT_MS), 'the agent is not ready')
  return agent
}

test('only the relay and the orchestrator have sessions, each with its own login', async (t) => {
  const dataDir = join(top, 'own')
  await start(t, dataDir)
  const facts = await readCredentials(dataDir)
  assert.ok(facts)
  const client = await session(databaseUrl(facts, 'superuser'))
  const { rows } = await client.query(SESSIONS)
  await client.end()
  assert.deepEqual(rows, [
    { process: 'orchestrator', login: 'bloud_orchestrator' },
    { process: 'relay', login: 'bloud_relay' },
  ])
})

test('on an external server the processes use its login, and act in the roles of Bloud', async (t) => {
  const name = `roles_${process.pid}`
  await administer((client) => client.query(`create database ${name}`))
  const client = await session(urlOf(name))
  t.after(async () => {
    await client.end()
    await administer((admin) => admin.query(`drop database ${name} with (force)`))
  })
  const agent = await start(t, join(top, 'data'), { DATABASE_URL: urlOf(name) })
  const answer = await fetch(`${agent.address}/api/catalog/refresh`, { method: 'POST' })
  assert.equal(answer.status, 202, await answer.text())
  const { rows } = await client.query('select requested_by, origin from bloud.operations')
  assert.deepEqual(rows, [{ requested_by: 'bloud_operator', origin: 'api' }])
})
