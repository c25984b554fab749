/** Whom the processes of a running agent are in the database. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { databaseUrl, readCredentials } from '../../src/postgres/embedded.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startWhole, type WholeAgent } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { session } from '../support/sql.ts'

const top = temporaryDirectory()
const READY_LIMIT_MS = 30_000
const ENTERED = `select distinct split_part(application_name, '-', 2) as process, usename as login
  from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() order by 1`

async function start(
  t: TestContext,
  dataDir: string,
  more: Record<string, string> = {},
): Promise<WholeAgent> {
  const agent = startWhole(dataDir, await freePort(), more)
  t.after(() => agent.end('SIGTERM'))
  await agent.up()
  const ready = async () => (await fetch(`${agent.address}/readyz`)).ok
  assert.ok(await pollUntil(ready, READY_LIMIT_MS), 'it is not ready')
  return agent
}

test('the relay and the orchestrator enter as themselves, and nobody else does', async (t) => {
  const dataDir = join(top, 'own')
  await start(t, dataDir)
  const facts = await readCredentials(dataDir)
  assert.ok(facts)
  const client = await session(databaseUrl(facts, 'superuser'))
  const { rows } = await client.query(ENTERED)
  await client.end()
  assert.deepEqual(rows, [
    { process: 'orchestrator', login: 'bloud_orchestrator' },
    { process: 'relay', login: 'bloud_relay' },
  ])
})

test('on a server of your own they come in by its login, and act as roles of ours', async (t) => {
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
