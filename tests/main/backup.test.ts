/** Tests of `npm run db:backup` and `npm run db:restore`, also while an agent runs. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { migrate } from '../../src/db/migration.ts'
import { withoutNewSettings } from '../../src/db/restore.ts'
import { createLogger } from '../../src/log.ts'
import { startRelayServer } from '../../src/main/relayserver.ts'
import { chooseClient, installedClients } from '../../src/postgres/clientprograms.ts'
import { parseEvents, type ReceivedEvent, until } from '../relay/fakes.ts'
import { startProcess } from '../support/agent.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { schemaDump } from '../support/dump.ts'
import { serverForDump } from '../support/dumpserver.ts'
import { settings } from '../support/npmstart.ts'
import { entry, lead, rebuildAll, session, value } from '../support/sql.ts'

const top = temporaryDirectory()
const log = { info() {} }
const server = await serverForDump()
const needsServer = { skip: server ? false : 'no PostgreSQL server here that its pg_dump can dump' }

async function emptyDatabase(t: TestContext): Promise<{ url: string; client: pg.Client }> {
  const name = `backup_${randomBytes(6).toString('hex')}`
  const admin = await session(server ?? '')
  await admin.query(`create database ${name}`)
  const url = new URL(server ?? '')
  url.pathname = `/${name}`
  const client = await session(url.href)
  t.after(async () => {
    await client.end()
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  })
  return { url: url.href, client }
}

async function filledDatabase(t: TestContext): Promise<{ url: string; client: pg.Client; attempt: number }> {
  const { url, client } = await emptyDatabase(t)
  await migrate({ url, log })
  const attempt = await lead(client, [entry('alpha'), entry('beta')])
  await client.query("select bloud.install('alpha')")
  await rebuildAll(client, attempt)
  return { url, client, attempt }
}

async function command(name: 'backup' | 'restore', url: string, ...args: string[]) {
  const env = settings({ DATABASE_URL: url, BLOUD_DATA_DIR: top, INIT_CWD: top })
  const agent = startProcess(process.execPath, [join(ROOT, `src/main/${name}.ts`), ...args], {
    env,
    cwd: ROOT,
  })
  return { code: await agent.ended, output: agent.output() }
}

async function backUp(url: string, file: string): Promise<string> {
  const { code, output } = await command('backup', url, file)
  assert.equal(code, 0, output)
  return join(top, file)
}

const apps = async (client: pg.Client): Promise<string[]> =>
  (await client.query('select name from bloud.apps order by name')).rows.map(({ name }) => name)

async function openStream(
  t: TestContext,
  url: string,
): Promise<{ named(name: string): ReceivedEvent[]; text(): string }> {
  const relay = await startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
    databaseUrl: url,
    log: createLogger('test', 'silent'),
    limits: { tickMs: 600_000 }, // so that the relay reads only after notifications
  })
  const abort = new AbortController()
  t.after(async () => {
    abort.abort()
    await relay.stop()
  })
  const answer = await fetch(`http://127.0.0.1:${relay.port}/api/events`, {
    headers: { accept: 'text/event-stream' },
    signal: abort.signal,
  })
  let text = ''
  const piped = answer.body?.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({
      write(piece) {
        text += piece
      },
    }),
  )
  piped?.catch(() => {})
  return { text: () => text, named: (name) => parseEvents(text).filter(({ event }) => event === name) }
}

test(
  'a restore under a live stream sends its client a reset, the restored state and the following events',
  needsServer,
  async (t) => {
    const { url, client, attempt } = await filledDatabase(t)
    const schema = await schemaDump(client)
    const stream = await openStream(t, url)
    await until(() => stream.named('snapshot').length === 1, 'the first snapshot')
    const file = await backUp(url, 'live.dump')
    assert.equal(statSync(file).mode & 0o077, 0, 'only the owner may read the backup')
    await client.query("select bloud.install('beta')")
    await until(() => stream.named('app').length === 1, 'the install of beta')

    const refused = await command('restore', url, file)
    assert.equal(refused.code, 1)
    assert.match(refused.output, /The agent is running \(relay\)\. Stop it, or add --while-running/)
    const epoch = await value(client, 'select epoch from bloud.stream')
    const { code, output } = await command('restore', url, file, '--while-running')
    assert.equal(code, 0, output)
    await until(() => stream.named('snapshot').length === 2, `a second snapshot in:\n${stream.text()}`)
    assert.equal(stream.named('reset').length, 1)
    assert.match(JSON.stringify(stream.named('reset')), /unknown_epoch/)
    assert.doesNotMatch(JSON.stringify(stream.named('snapshot')[1]), /"name":"beta"/)

    assert.deepEqual(await apps(client), ['alpha'])
    assert.deepEqual(await schemaDump(client), schema, 'owners, privileges and comments included')
    assert.notEqual(await value(client, 'select epoch from bloud.stream'), epoch)
    assert.ok(
      Number(await value(client, 'select attempt from bloud.lease')) > attempt,
      'the earlier lease holder may not write',
    )
    assert.deepEqual((await client.query('select * from bloud.check_invariants()')).rows, [])
    await client.query("select bloud.install('beta')")
    await until(() => stream.named('app').length === 2, 'the next event')
    assert.doesNotMatch(stream.named('app')[1]?.id ?? '', new RegExp(`^${epoch}`))
  },
)

test(
  'a backup restored into an empty database has the same schema and history, and new operations work',
  needsServer,
  async (t) => {
    const source = await filledDatabase(t)
    const file = await backUp(source.url, 'move.dump')
    const target = await emptyDatabase(t)
    const { code, output } = await command('restore', target.url, 'move.dump')
    assert.equal(code, 0, output)
    assert.match(output, new RegExp(`Restored from ${file}`))
    assert.deepEqual(await schemaDump(target.client), await schemaDump(source.client))
    const rows = 'select * from bloud.events order by seq'
    assert.deepEqual((await target.client.query(rows)).rows, (await source.client.query(rows)).rows)
    const attempt = await value<number>(target.client, "select bloud.acquire_lease('new', 60)")
    await target.client.query("select bloud.uninstall('alpha', purge => 'alpha')")
    await rebuildAll(target.client, attempt)
    assert.deepEqual(await apps(target.client), [])
    assert.deepEqual((await target.client.query('select * from bloud.check_invariants()')).rows, [])
  },
)

test('a rebuild that was active in the backup begins again, with runs of its own', needsServer, async (t) => {
  const { url, client, attempt } = await filledDatabase(t)
  await client.query("select bloud.install('beta')")
  const id = await value(client, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  const begin = async (number: number) => {
    await client.query("select bloud.begin_run($1, $2, '2')", [number, id])
    return value<string>(client, "select run || run_key from bloud.rebuilds where state = 'active'")
  }
  const run = await begin(attempt)
  await backUp(url, 'active.dump')
  await client.query("select bloud.end_rebuild($1, $2, true, 0, '3')", [attempt, id])
  const { code, output } = await command('restore', url, 'active.dump')
  assert.equal(code, 0, output)
  assert.equal(
    await value(client, 'select phase || run from bloud.rebuilds where id = $1', [id]),
    'configuring0',
  )
  assert.deepEqual((await client.query('select * from bloud.check_invariants()')).rows, [])
  const next = await value<number>(client, "select bloud.acquire_lease('new', 60)")
  assert.notEqual(await begin(next), run)
})

test(
  'a restore keeps the data folder with which the replaced database was paired',
  needsServer,
  async (t) => {
    const source = await filledDatabase(t)
    const pairing = (client: pg.Client) => value<string | null>(client, 'select folder_id from bloud.pairing')
    await backUp(source.url, 'unpaired.dump')
    await source.client.query("select bloud.pair_folder('source', null, 'here')")
    await backUp(source.url, 'paired.dump')
    const database = await value(source.client, 'select database_id from bloud.pairing')
    const unpaired = await command('restore', source.url, 'unpaired.dump')
    assert.equal(unpaired.code, 0, unpaired.output)
    assert.equal(await pairing(source.client), 'source')
    assert.equal(await value(source.client, 'select database_id from bloud.pairing'), database)

    const target = await emptyDatabase(t)
    await migrate({ url: target.url, log })
    await target.client.query("select bloud.pair_folder('target', null, 'there')")
    const moved = await command('restore', target.url, 'paired.dump')
    assert.equal(moved.code, 0, moved.output)
    assert.equal(await pairing(target.client), 'target')

    const fresh = await emptyDatabase(t)
    const copied = await command('restore', fresh.url, 'paired.dump')
    assert.equal(copied.code, 0, copied.output)
    assert.equal(await pairing(fresh.client), 'source', 'an unpaired database gets the pairing of the backup')
  },
)

test('a restore is refused while a rebuild is active', needsServer, async (t) => {
  const { url, client, attempt } = await filledDatabase(t)
  const file = await backUp(url, 'busy.dump')
  await client.query("select bloud.install('beta')")
  await client.query('select bloud.claim_rebuild($1, 60)', [attempt])
  const { code, output } = await command('restore', url, file)
  assert.equal(code, 1)
  assert.match(output, /Nothing was changed\.[\s\S]*A rebuild is in progress\.[\s\S]*cancel it/)
  assert.deepEqual(await apps(client), ['alpha', 'beta'])
})

test(
  'a backup of a newer version and a file that is no backup are refused before anything is changed',
  needsServer,
  async (t) => {
    const { url, client } = await filledDatabase(t)
    await client.query("insert into bloud.migrations (name, run_on) values ('9999_next', now())")
    const newer = await backUp(url, 'newer.dump')
    await client.query("delete from bloud.migrations where name = '9999_next'")
    const refused = await command('restore', url, newer)
    assert.equal(refused.code, 1)
    assert.match(refused.output, /made by a newer version of the program \(9999_next\)/)
    writeFileSync(join(top, 'none.dump'), 'hello')
    assert.match(
      (await command('restore', url, 'none.dump')).output,
      /Nothing was changed\. .*does not appear to be a valid archive/,
    )
    assert.match(
      (await command('restore', url, 'absent.dump')).output,
      /The file .*absent\.dump does not exist/,
    )
    assert.match((await command('restore', url)).output, /Name the backup:/)
    assert.deepEqual(await apps(client), ['alpha'])
  },
)

test('client programs older than the server are refused, with the versions and the package to install', async (t) => {
  const clients = [
    { directory: '/a', major: 15 },
    { directory: '/b', major: 18 },
    { directory: '/c', major: 17 },
  ]
  assert.equal(chooseClient(clients, 15).directory, '/a')
  assert.equal(chooseClient(clients, 16).directory, '/c')
  assert.throws(
    () => chooseClient(clients, 19),
    /is PostgreSQL 19\.[\s\S]*installed: 15, 17, 18\..*apt install postgresql-client-19/s,
  )
  assert.throws(() => chooseClient([], 18), /installed: none/)
  const major = await administer((client) =>
    value<number>(client, "select current_setting('server_version_num')::int / 10000"),
  )
  const fits = (await installedClients(process.env)).some((client) => client.major >= major)
  if (fits) return t.diagnostic('the client programs of this machine are new enough for the test server')
  const { code, output } = await command('backup', urlOf('postgres'), 'no.dump')
  assert.equal(code, 1)
  assert.match(output, new RegExp(`apt install postgresql-client-${major}`))
  const home = join(top, 'home')
  await command('backup', urlOf('postgres'), 'home/backups/no.dump')
  assert.equal(existsSync(home), false, 'the refused backup created a folder')
})

test('settings unknown to older servers are removed from the restored statements', () => {
  assert.equal(
    withoutNewSettings('SET a = 0;\nSET transaction_timeout = 0;\nSET b = 0;\n'),
    'SET a = 0;\nSET b = 0;\n',
  )
})
