import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createLogger } from '../../src/log.ts'
import { createEmbeddedPostgres, databaseUrl, readCredentials } from '../../src/postgres/embedded.ts'
import { isAlive } from '../../src/system/childprocess.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess, type TestProcess } from '../support/agent.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { choosePostgresPort } from '../support/port.ts'
import { embedded, postmasterPid, queryValue, withPostgres } from './support.ts'

const AGENT = join(import.meta.dirname, 'fixtures/postgres-agent.ts')
const LIMIT_MS = 30_000

const agents: TestProcess[] = []

// Hooks run in the order of registration. This hook is registered before that of temporaryDirectory(),
// because the servers must stop before their directory is deleted.
after(async () => {
  for (const { child, end } of agents) if (child.exitCode === null && !child.signalCode) await end('SIGKILL')
  // Kills the PostgreSQL servers that a killed agent left running.
  for (const name of await fs.readdir(top)) {
    const found = await postmasterPid(join(top, name)).catch(() => 0)
    if (found && isAlive(found)) process.kill(found, 'SIGKILL')
  }
})

const top = temporaryDirectory()
const dataDir = join(top, 'data')

async function startAgentOn(
  directory: string,
): Promise<{ agent: TestProcess; superuserUrl: string; adopted: boolean }> {
  const agent = startProcess(process.execPath, [AGENT, directory])
  agents.push(agent)
  const [line] = await agent.waitFor(/\{.*\}/)
  return { agent, ...JSON.parse(line) }
}

before(async () => {
  await choosePostgresPort(dataDir)
  await withPostgres(dataDir, ({ superuserUrl }) =>
    queryValue(superuserUrl, 'create table kept as select 42 as n'),
  )
})

test('a second start keeps the rows and the port of the first start', async () => {
  const before = await readCredentials(dataDir)
  await withPostgres(dataDir, async ({ superuserUrl, port, adopted }) => {
    assert.equal(await queryValue(superuserUrl, 'select n from kept'), '42')
    assert.equal(port, before?.port)
    assert.equal(adopted, false)
  })
})

test('after stop no process and no temporary file is left', async () => {
  const pid = await withPostgres(dataDir, () => postmasterPid(dataDir))
  assert.equal(isAlive(pid), false)
  assert.deepEqual((await fs.readdir(dataDir)).sort(), ['database.json', 'logs', 'postgres'])
})

test('only the owner can read the passwords, and every client needs a password', async () => {
  const { mode } = await fs.stat(join(dataDir, 'database.json'))
  assert.equal(mode & 0o777, 0o600)
  await withPostgres(dataDir, async ({ port, socketDir }) => {
    for (const host of ['127.0.0.1', ...(socketDir ? [socketDir] : [])]) {
      const client = new pg.Client({ host, port, user: 'postgres', password: 'wrong', database: 'postgres' })
      await assert.rejects(client.connect(), { code: '28P01' })
    }
  })
})

test('the server listens on loopback only, and on a socket if the path is short enough', async () => {
  await withPostgres(dataDir, async ({ superuserUrl, port, socketDir, facts }) => {
    assert.equal(await queryValue(superuserUrl, 'show listen_addresses'), '127.0.0.1')
    assert.equal(socketDir, join(dataDir, 'postgres'))
    const client = new pg.Client({
      host: socketDir ?? '',
      port,
      user: 'postgres',
      password: facts.superuserPassword,
      database: 'postgres',
    })
    await client.connect()
    await client.end()
  })
})

test('a data directory with a path too long for a socket works without a socket', async () => {
  const long = join(top, 'long', 'x'.repeat(90))
  await withPostgres(long, async ({ socketDir, superuserUrl }) => {
    assert.equal(socketDir, null)
    assert.equal(await queryValue(superuserUrl, 'select 1'), '1')
  })
})

test('a server whose port is used takes another port and stores it', async () => {
  const taken = (await readCredentials(dataDir))?.port
  const other = createServer().listen(taken, '127.0.0.1')
  try {
    await withPostgres(dataDir, async ({ port, superuserUrl }) => {
      assert.notEqual(port, taken)
      assert.equal((await readCredentials(dataDir))?.port, port)
      assert.equal(await queryValue(superuserUrl, 'select n from kept'), '42')
    })
  } finally {
    other.close()
  }
})

test('the server of a killed agent is adopted by the next agent, and its clients stay connected', async () => {
  const first = await startAgentOn(dataDir)
  const client = new pg.Client({ connectionString: first.superuserUrl })
  await client.connect()
  const pid = await postmasterPid(dataDir)
  await first.agent.end('SIGKILL')
  const second = await startAgentOn(dataDir)
  assert.equal(second.adopted, true)
  assert.equal(await postmasterPid(dataDir), pid)
  assert.equal((await client.query('select n from kept')).rows[0].n, 42)
  await client.end()
  assert.equal(await second.agent.end('SIGTERM'), 0)
  assert.equal(isAlive(pid), false)
})

test('after a power cut the server starts although its pid file still exists', async () => {
  const { agent } = await startAgentOn(dataDir)
  const pid = await postmasterPid(dataDir)
  await agent.end('SIGKILL')
  process.kill(pid, 'SIGKILL')
  assert.equal(await postmasterPid(dataDir), pid)
  await withPostgres(dataDir, async ({ superuserUrl, adopted }) => {
    assert.equal(adopted, false)
    assert.equal(await queryValue(superuserUrl, 'select n from kept'), '42')
  })
})

test('the server starts although the process id in its pid file belongs to another program', async () => {
  await fs.writeFile(join(dataDir, 'postgres/postmaster.pid'), `${process.pid}\n/nowhere\n0\n54329\n`)
  await withPostgres(dataDir, async ({ adopted, superuserUrl }) => {
    assert.equal(adopted, false)
    assert.equal(await queryValue(superuserUrl, 'select n from kept'), '42')
  })
})

test('a server that is killed while the agent runs is restarted on the same port', async () => {
  await withPostgres(dataDir, async ({ superuserUrl }, postgres) => {
    const back = new Promise((resolve) => postgres.onRestart(resolve))
    const pid = await postmasterPid(dataDir)
    process.kill(pid, 'SIGKILL')
    await back
    assert.notEqual(await postmasterPid(dataDir), pid)
    assert.equal(await queryValue(superuserUrl, 'select n from kept'), '42')
  })
})

test('an adopted server that is killed is restarted as well', async () => {
  const { agent } = await startAgentOn(dataDir)
  await agent.end('SIGKILL')
  await withPostgres(dataDir, async ({ superuserUrl, adopted }, postgres) => {
    assert.equal(adopted, true)
    const back = new Promise((resolve) => postgres.onRestart(resolve))
    process.kill(await postmasterPid(dataDir), 'SIGKILL')
    await back
    assert.equal(await queryValue(superuserUrl, 'select n from kept'), '42')
  })
})

test('after an agent was killed during initdb, the next start works', async () => {
  const directory = join(top, 'interrupted')
  const agent = startProcess(process.execPath, [AGENT, directory])
  agents.push(agent)
  const begun = await pollUntil(async () => {
    const names = await fs.readdir(directory).catch(() => [])
    const unfinished = names.find((name) => name.startsWith('postgres.new-') && !name.endsWith('.password'))
    return unfinished && (await fs.readdir(join(directory, unfinished))).length > 0 ? true : undefined
  }, LIMIT_MS)
  assert.ok(begun)
  await agent.end('SIGKILL')
  await withPostgres(directory, async ({ superuserUrl }) => {
    assert.equal(await queryValue(superuserUrl, 'select 1'), '1')
  })
  assert.deepEqual((await fs.readdir(directory)).sort(), ['database.json', 'logs', 'postgres'])
})

test('data of another PostgreSQL version is refused with instructions', async () => {
  const directory = join(top, 'older')
  await fs.mkdir(join(directory, 'postgres'), { recursive: true })
  await fs.writeFile(join(directory, 'postgres/PG_VERSION'), '15\n')
  await assert.rejects(embedded(directory).start(), {
    code: 'other_major',
    message: /PostgreSQL 15.*pg_dump/s,
  })
})

test('an existing database without its passwords is refused and not changed', async () => {
  const directory = join(top, 'lost')
  await fs.mkdir(join(directory, 'postgres'), { recursive: true })
  await fs.writeFile(join(directory, 'postgres/PG_VERSION'), '18\n')
  await assert.rejects(embedded(directory).start(), { code: 'facts_lost' })
  await fs.writeFile(join(directory, 'database.json'), '{"version":')
  await assert.rejects(embedded(directory).start(), { code: 'facts_damaged' })
  assert.deepEqual(await fs.readdir(join(directory, 'postgres')), ['PG_VERSION'])
})

test('a server that can not start is reported with the end of its log', async () => {
  const postgres = createEmbeddedPostgres({
    dataDir,
    log: createLogger('test', 'silent'),
    settings: { shared_buffers: 'plenty' },
  })
  await assert.rejects(postgres.start(), { code: 'start_failed', message: /shared_buffers.*plenty/ })
})

test('a log that has grown too long is rotated', async () => {
  const log = join(dataDir, 'logs/postgresql.log')
  await fs.truncate(log, 11 * 1024 * 1024)
  await withPostgres(dataDir, async () => {
    const small = await pollUntil(async () => (await fs.stat(log)).size < 100_000, LIMIT_MS)
    assert.ok(small)
  })
  assert.ok((await fs.stat(`${log}.1`)).size > 10 * 1024 * 1024)
})

test('each login has its own password and a complete URL', async () => {
  const facts = await readCredentials(dataDir)
  assert.ok(facts)
  const passwords = new Set([facts.superuserPassword, ...Object.values(facts.rolePasswords)])
  assert.equal(passwords.size, 4)
  const url = new URL(databaseUrl(facts, 'bloud_relay'))
  assert.equal(url.username, 'bloud_relay')
  assert.equal(url.password, facts.rolePasswords.bloud_relay)
  assert.equal(url.pathname, '/bloud_host_agent')
})
