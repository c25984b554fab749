/** Tests that the agent works with every database that psql works with, or that a sentence explains it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { migrate } from '../../src/db/migration.ts'
import { serverUser } from '../../src/postgres/serveruser.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess } from '../support/agent.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { settings, startWholeAgent } from '../support/npmstart.ts'
import { asOtherUser } from '../support/otheruser.ts'
import { freePort } from '../support/port.ts'
import { startOldestServer } from '../support/postgres-server.ts'
import { session, value } from '../support/sql.ts'
import { needs, toolPath } from '../support/tools.ts'

const top = temporaryDirectory()
const LIMIT_MS = 90_000
const log = { info() {} }

async function emptyDatabase(t: TestContext, options = ''): Promise<string> {
  const name = `database_${randomBytes(6).toString('hex')}`
  await administer((admin) => admin.query(`create database ${name} ${options}`))
  t.after(() => administer((admin) => admin.query(`drop database ${name} with (force)`)))
  return name
}

async function startAgent(t: TestContext, url: string, more: Record<string, string> = {}) {
  const dataDir = join(top, randomBytes(6).toString('hex'))
  const agent = startWholeAgent(dataDir, await freePort(), { DATABASE_URL: url, ...more })
  t.after(() => agent.end('SIGTERM'))
  return agent
}

async function isReady(address: string): Promise<boolean> {
  const answer = await fetch(`${address}/readyz`).catch(() => null)
  return answer?.ok === true
}

/** Starts PgBouncer in transaction mode in front of the server of the tests. Returns the URL. */
async function startPooler(t: TestContext, name: string, more = ''): Promise<string> {
  const target = new URL(urlOf(name))
  const [folder, port, user] = [join(top, `pooler-${name}`), await freePort(), await serverUser()]
  mkdirSync(folder)
  const users = join(folder, 'users')
  writeFileSync(users, `"${target.username}" "${decodeURIComponent(target.password)}"\n`)
  const file = join(folder, 'pgbouncer.ini')
  writeFileSync(
    file,
    `[databases]\n${name} = host=127.0.0.1 port=${target.port} dbname=${name}
[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = plain
auth_file = ${users}\npool_mode = transaction\n${more}\n`,
  )
  for (const path of [top, folder]) chmodSync(path, 0o755)
  const pooler = startProcess(toolPath('pgbouncer') as string, [file], { ...user, cwd: '/' })
  t.after(() => pooler.end('SIGKILL'))
  await pooler.waitFor(/listening on 127/)
  target.port = String(port)
  return target.href
}

for (const more of [
  '',
  'ignore_startup_parameters = options',
  'ignore_startup_parameters = options,extra_float_digits\nmin_pool_size = 3',
]) {
  test(
    `a transaction pooler is refused with a sentence (${more.slice(0, 60) || 'default'})`,
    needs('pgbouncer'),
    async (t) => {
      const name = await emptyDatabase(t)
      const url = await startPooler(t, name, more)
      const agent = await startAgent(t, url)
      assert.equal(await agent.ended, 1, agent.output())
      assert.match(
        agent.output(),
        /DATABASE_URL leads to a connection pooler.*use the address of PostgreSQL itself/,
      )
    },
  )
}

test(
  'a migration through a transaction pooler works and leaves no lock behind',
  needs('pgbouncer'),
  async (t) => {
    const name = await emptyDatabase(t)
    const url = await startPooler(t, name)
    await migrate({ url, log })
    await migrate({ url, log })
    const client = await session(urlOf(name))
    t.after(() => client.end())
    assert.equal(
      await value(
        client,
        `select count(*)::int from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.pid <> pg_backend_pid()`,
      ),
      0,
    )
    const role = new pg.Client({ connectionString: url })
    await role.connect()
    assert.equal(await value(role, "select current_setting('role')"), 'none')
    await role.end()
    await migrate({ url: urlOf(name), log })
  },
)

test('sslmode has the meaning of psql, with the certificate of Debian', async (t) => {
  const server = await startOldestServer(top)
  if (!server) return t.skip('no PostgreSQL 15 on this machine')
  t.after(server.stop)
  const [cert, key, user] = [join(top, 'cert.pem'), join(top, 'key.pem'), await serverUser()]
  const request = [
    'req',
    '-new',
    '-x509',
    '-days',
    '2',
    '-nodes',
    '-subj',
    '/CN=elsewhere',
    '-out',
    cert,
    '-keyout',
    key,
  ]
  execFileSync('openssl', request, { stdio: 'ignore' })
  chmodSync(key, 0o600)
  if (user) for (const path of [cert, key]) chownSync(path, user.uid, user.gid)
  const admin = await session(server.url)
  t.after(() => admin.end())
  for (const [name, path] of Object.entries({ ssl_cert_file: cert, ssl_key_file: key }))
    await admin.query(`alter system set ${name} = '${path}'`)
  await admin.query('alter system set ssl = on')
  const { rows } = await admin.query('show hba_file')
  writeFileSync(rows[0].hba_file, 'hostssl all all 127.0.0.1/32 trust\n')
  await admin.query('select pg_reload_conf()')
  const isEncrypted = async () => {
    const output = await attempt(`${server.url}?sslmode=require`)
    return output.includes('up to date') || undefined
  }
  assert.ok(await pollUntil(isEncrypted, LIMIT_MS), await attempt(`${server.url}?sslmode=require`))
  assert.match(
    await attempt(server.url),
    /no encryption\. If the server insists on TLS, add \?sslmode=require/,
  )
  assert.match(
    await attempt(`${server.url}?sslmode=verify-full`),
    /Name the root certificate with sslrootcert/,
  )
  assert.match(await attempt(`${server.url}?sslmode=verify-ca&sslrootcert=${cert}`), /up to date/)
  const verified = { PGSSLMODE: 'verify-ca', PGSSLROOTCERT: cert }
  assert.match(await attempt(server.url, verified), /up to date/)
  assert.match(await attempt(server.url, { PGSSLMODE: 'verify-full' }), /Name the root certificate/)
  assert.match(await attempt(`${server.url}?sslmode=sure`), /has an sslmode that does not exist/)
  {
    const agent = await startAgent(t, `${server.url}?target_session_attrs=read-write`, verified)
    await agent.up()
    assert.ok(await pollUntil(() => isReady(agent.address), LIMIT_MS), agent.output())
    const count = `select count(*)::int from pg_stat_ssl s join pg_stat_activity a using (pid)
      where a.application_name like 'bloud-%' and not s.ssl`
    assert.equal(await value(admin, count), 0)
    await agent.end('SIGTERM')
  }
})

/** Runs `npm run migrate` with this URL and these variables, and returns its output. */
async function attempt(url: string, more: Record<string, string> = {}): Promise<string> {
  const script = join(ROOT, 'src/main/migrate.ts')
  const child = startProcess(process.execPath, [script], { env: settings({ DATABASE_URL: url, ...more }) })
  await child.ended
  return child.output()
}

test('a database with another encoding is refused with the statement that creates one', async (t) => {
  for (const encoding of ['LATIN1', 'SQL_ASCII']) {
    const name = await emptyDatabase(t, `encoding '${encoding}' locale 'C' template template0`)
    const output = await attempt(urlOf(name))
    assert.match(
      output,
      new RegExp(`^The database has the encoding ${encoding}.*create database bloud encoding 'UTF8'`),
    )
  }
})

test('a schema bloud of another owner is refused with the statement that gives it to bloud_owner', async (t) => {
  const name = await emptyDatabase(t)
  const client = await session(urlOf(name))
  t.after(() => client.end())
  await client.query('create schema bloud')
  const output = await attempt(urlOf(name))
  const statement = /^The schema bloud belongs to postgres.*run as superuser: (alter schema .*?);/.exec(
    output,
  )?.[1]
  assert.ok(statement, output)
  await client.query(statement)
  assert.match(await attempt(urlOf(name)), /up to date/)
})

/** Creates a login that is no superuser but owns the database, as hosting providers give it. */
async function ordinaryLogin(t: TestContext, database: string): Promise<string> {
  const [name, password] = [`login_${randomBytes(6).toString('hex')}`, randomBytes(6).toString('hex')]
  await migrate({ url: urlOf(await emptyDatabase(t)), log }) // creates the roles
  await administer(async (admin) => {
    await admin.query(`create role ${name} login createrole password '${password}'
      in role bloud_owner, bloud_operator, bloud_relay, bloud_orchestrator`)
    await admin.query(`alter database ${database} owner to ${name}`)
  })
  // The database was dropped by an earlier hook, so nothing belongs to the role any more.
  t.after(() => administer((admin) => admin.query(`drop role ${name}`)))
  const url = new URL(urlOf(database))
  url.username = name
  url.password = password
  return url.href
}

test('npm start with an ordinary login explains a schema bloud of another owner', async (t) => {
  const name = await emptyDatabase(t)
  const url = await ordinaryLogin(t, name)
  const client = await session(urlOf(name))
  await client.query('create schema bloud')
  await client.end()
  const agent = await startAgent(t, url)
  assert.equal(await agent.ended, 1, agent.output())
  assert.match(agent.output(), /^\s*The schema bloud belongs to postgres.*alter schema bloud owner/)
  assert.doesNotMatch(agent.output(), / at /, 'a stack')
})

test('a read-only database is refused with a sentence by npm start and npm run migrate', async (t) => {
  const name = await emptyDatabase(t)
  await migrate({ url: urlOf(name), log })
  await administer((admin) => admin.query(`alter database ${name} set default_transaction_read_only = on`))
  const sentence = /^\s*The database accepts no changes, because it is set to read-only\. Reset default_/
  const agent = await startAgent(t, urlOf(name))
  assert.equal(await agent.ended, 1, agent.output())
  for (const output of [agent.output(), await attempt(urlOf(name))]) {
    assert.match(output, sentence)
    assert.doesNotMatch(output, / at /, 'a stack')
  }
})

test('a URL with several hosts or for a standby is refused with what to write instead', async () => {
  for (const [url, sentence] of [
    ['postgresql://me@one:5432,two:5433/db', /DATABASE_URL: names several hosts.*name the primary/],
    ['postgresql://me@one,two/db', /DATABASE_URL: names several hosts/],
    ['postgresql:///db?host=one,two', /DATABASE_URL: names several hosts/],
    ['postgresql://me@one/db?target_session_attrs=standby', /DATABASE_URL: asks for a read-only server/],
    ['postgresql://me:a b@[one/db', /DATABASE_URL: must be like postgres:/],
  ] as const) {
    assert.match(await attempt(url), sentence)
  }
})

test(
  'a user id without a name can use a database, and is told why it can not run one',
  asOtherUser,
  async (t) => {
    const name = await emptyDatabase(t)
    const run = async (given: Record<string, string>) => {
      const dataDir = join(top, randomBytes(6).toString('hex'))
      mkdirSync(dataDir)
      chmodSync(top, 0o755)
      chownSync(dataDir, 54_321, 54_321)
      const port = await freePort()
      const env = settings({ ...given, HOME: dataDir, BLOUD_DATA_DIR: dataDir, BLOUD_PORT: String(port) })
      delete env.USER
      const script = join(ROOT, 'src/main/start.ts')
      const agent = startProcess(process.execPath, [script], { env, uid: 54_321, gid: 54_321 })
      t.after(() => agent.end('SIGTERM'))
      return agent
    }
    const agent = await run({ DATABASE_URL: urlOf(name) })
    await agent.waitFor(/Page +http/, LIMIT_MS)
    const refused = await run({})
    assert.equal(await refused.ended, 1)
    assert.match(refused.output(), /user id 54321 has no name.*useradd.*set DATABASE_URL/s)
  },
)
