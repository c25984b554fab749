/** Tests which PostgreSQL roles the processes of a running agent use. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
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
  await start(t, dataDir, { PGSSLMODE: 'require' }) // The embedded server has no TLS and needs none.
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

/** Connects as `login`, and returns the code of the error, or null. */
async function loginProblem(url: URL, login: string, password: string): Promise<string | null> {
  const changed = new URL(url)
  changed.username = login
  changed.password = password
  return session(changed.href).then(
    async (client) => {
      await client.end()
      return null
    },
    (error) => error.code,
  )
}

test('an operator and the relay can take over no login, and settings of logins end at the start', async (t) => {
  const dataDir = join(top, 'groups')
  const agent = await start(t, dataDir)
  const facts = await readCredentials(dataDir)
  assert.ok(facts)
  const root = await session(databaseUrl(facts, 'superuser'))
  await root.query("create role ann login password 'ann' in role bloud_operator")
  const ann = new URL(databaseUrl(facts, 'superuser'))
  ann.username = 'ann'
  ann.password = 'ann'
  for (const url of [ann.href, databaseUrl(facts, 'bloud_relay'), databaseUrl(facts, 'bloud_psql')]) {
    const client = await session(url)
    await client.query("set role bloud_operator; alter role bloud_operator password 'mine'").catch(() => {})
    await client.query('reset role')
    await client.query('set role bloud_operator; alter role bloud_operator set role to none').catch(() => {})
    await client.end()
    assert.equal(await loginProblem(ann, 'bloud_operator', 'mine'), '28000', url)
  }
  const psql = await session(databaseUrl(facts, 'bloud_psql'))
  await assert.rejects(psql.query('set role bloud_operator'), { code: '42501' })
  await psql.query('alter role bloud_psql set default_transaction_read_only = on')
  await psql.query("alter role bloud_psql password 'mine'")
  await psql.end()
  const relay = await session(databaseUrl(facts, 'bloud_relay'))
  await relay.query(`alter role bloud_relay set default_transaction_read_only = on;
    alter role bloud_relay in database ${facts.database} set statement_timeout = 1`)
  await relay.end()
  await root.end()
  await agent.end('SIGTERM')
  await start(t, dataDir)
  const again = await readCredentials(dataDir)
  assert.ok(again)
  const operator = await session(databaseUrl(again, 'bloud_psql'))
  await operator.query('select bloud.refresh_catalog()')
  const { rows } = await operator.query(`select setrole::regrole from pg_db_role_setting
    where setrole::regrole::text like 'bloud%'`)
  await operator.end()
  assert.deepEqual(rows, [])
})

test('a server of an earlier version gets the new login of psql', async (t) => {
  const dataDir = join(top, 'earlier')
  const agent = await start(t, dataDir)
  await agent.end('SIGTERM')
  const file = join(dataDir, 'database.json')
  const facts = JSON.parse(await readFile(file, 'utf8'))
  const { bloud_psql, ...others } = facts.rolePasswords
  await writeFile(
    file,
    JSON.stringify({ ...facts, rolePasswords: { ...others, bloud_operator: bloud_psql } }),
  )
  await start(t, dataDir)
  const found = await readCredentials(dataDir)
  assert.ok(found)
  const client = await session(databaseUrl(found, 'bloud_psql'))
  await client.end()
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
  assert.match(
    agent.output(),
    /The login postgres of DATABASE_URL is a superuser/,
    'a warning, because the relay could use all rights of the login',
  )
  const answer = await fetch(`${agent.address}/api/catalog/refresh`, { method: 'POST' })
  assert.equal(answer.status, 202, await answer.text())
  const { rows } = await client.query('select requested_by, origin from bloud.operations')
  assert.deepEqual(rows, [{ requested_by: 'bloud_operator', origin: 'api' }])
})
