/** Tests that a deployment of the schema and the transactions of readers do not break each other. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { migrate } from '../../src/db/migration.ts'
import { withTimeout } from '../../src/system/timeout.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { schemaDump } from '../support/dump.ts'
import { session, value } from '../support/sql.ts'

const top = temporaryDirectory()
const LIMIT_MS = 90_000
const log: { info(line: string): void } = { info() {} }
/** The limit of every wait for a lock in the agent's sessions, in ms. */
const READ_LIMIT_MS = 5_000

interface Database {
  url: string
  admin: pg.Client
  /** Opens a session of a reader, who may read all views. */
  reader(): Promise<pg.Client>
}

async function migrated(t: TestContext): Promise<Database> {
  const name = `readers_${randomBytes(6).toString('hex')}`
  await administer((admin) => admin.query(`create database ${name}`))
  await migrate({ url: urlOf(name), log })
  const open: pg.Client[] = []
  const connect = async () => {
    const client = await session(urlOf(name))
    open.push(client)
    return client
  }
  t.after(async () => {
    for (const client of open) await client.end()
    await administer((admin) => admin.query(`drop database ${name} with (force)`))
  })
  return {
    url: urlOf(name),
    admin: await connect(),
    async reader() {
      const client = await connect()
      await client.query(`set role bloud_viewer; set lock_timeout = ${READ_LIMIT_MS}`)
      return client
    },
  }
}

/** Writes a copy of sql/ in which a view has another column. */
function withOtherView(): string {
  const dir = mkdtempSync(join(top, 'sql-'))
  cpSync(join(ROOT, 'sql'), dir, { recursive: true })
  const file = join(dir, 'views.sql')
  const text = readFileSync(file, 'utf8')
  const changed = text.replace(
    'create view bloud.queue as\nselect',
    'create view bloud.queue as\nselect 1 as one,',
  )
  assert.notEqual(changed, text)
  writeFileSync(file, changed)
  return dir
}

function deployment(options: { url: string; sqlDir?: string; log?: typeof log }) {
  let done = false
  const promise = migrate({ log, ...options }).finally(() => {
    done = true
  })
  return { promise, isDone: () => done }
}

/** Returns a log whose promise `waits` is fulfilled when the deployment reports that it waits for a lock. */
function waitingLog() {
  let report: (line: string) => void = () => undefined
  const waits = new Promise<string>((resolve) => {
    report = resolve
  })
  return { log: { info: (line: string) => void (/waits/.test(line) && report(line)) }, waits }
}

test('an unchanged schema is deployed while a reader keeps a transaction open', async (t) => {
  const { url, reader } = await migrated(t)
  const client = await reader()
  await client.query('begin; select * from bloud.app_status; select * from bloud.catalog')
  const { promise } = deployment({ url })
  assert.notEqual(
    await withTimeout(
      promise.then(() => 'done'),
      LIMIT_MS,
    ),
    undefined,
  )
  await client.query('select * from bloud.app_status; commit')
})

test('a changed view waits for a reader, whose reads and those of others go on', async (t) => {
  const { url, admin, reader } = await migrated(t)
  const [client, other] = [await reader(), await reader()]
  await client.query('begin; select * from bloud.app_status')
  const { log: waiting, waits } = waitingLog()
  const { promise, isDone } = deployment({ url, sqlDir: withOtherView(), log: waiting })
  const line = await withTimeout(waits, LIMIT_MS)
  assert.match(line ?? '', /process \d+ of PostgreSQL, login \w+, program \w+/)
  for (const view of ['queue', 'active', 'history', 'app_status', 'catalog', 'desired_apps', 'probed_apps']) {
    await client.query(`select * from bloud.${view}`)
    await other.query(`select * from bloud.${view}`)
  }
  assert.equal(isDone(), false)
  await client.query('commit')
  await withTimeout(promise, LIMIT_MS, () => new Error('the deployment goes on waiting'))
  assert.equal(await value(admin, "select count(*)::int from pg_attribute where attname = 'one'"), 1)
})

test('a deployment with only a changed function waits for no reader', async (t) => {
  const { url, admin, reader } = await migrated(t)
  const client = await reader()
  await client.query('begin; select * from bloud.app_status')
  const dir = mkdtempSync(join(top, 'sql-'))
  cpSync(join(ROOT, 'sql'), dir, { recursive: true })
  const file = join(dir, 'functions/session.sql')
  writeFileSync(
    file,
    `${readFileSync(file, 'utf8')}\ncreate or replace function bloud.new_one() returns integer
    language sql as $$ select 1 $$;`,
  )
  const { promise } = deployment({ url, sqlDir: dir })
  await withTimeout(promise, LIMIT_MS, () => new Error('the deployment waits'))
  await client.query('commit')
  assert.equal(await value(admin, 'select bloud.new_one()'), 1)
  await migrate({ url, log })
  assert.equal(await value(admin, "select to_regproc('bloud.new_one')"), null)
})

test('no lock that a reader can take delays a deployment', async (t) => {
  const { url, admin, reader } = await migrated(t)
  const client = await reader()
  await client.query('begin')
  for (let key = 45_069; key <= 45_074; key += 1)
    await client.query('select pg_advisory_lock($1::bigint), pg_advisory_lock($1::int, 0)', [key])
  for (const key of [1, 2]) await client.query('select pg_advisory_lock(45069, $1)', [key])
  await client.query('lock table bloud.migrations, bloud.apps, bloud.events in access share mode')
  const { promise } = deployment({ url })
  await withTimeout(promise, LIMIT_MS, () => new Error('the deployment waits'))
  await client.query('commit')
  const held = await value(
    admin,
    `select count(*)::int from pg_locks join pg_database d on d.oid = database and d.datname = current_database()
    where locktype = 'advisory' and pid <> ${(client as unknown as { processID: number }).processID}`,
  )
  assert.equal(held, 0)
})

for (const [what, change] of Object.entries({
  'a dropped function': 'drop function bloud.why(text)',
  'a changed function': `create or replace function bloud.session_actor() returns text language sql as $$ select 'x' $$`,
  'a dropped view': 'drop view bloud.history',
  'a dropped trigger': 'drop trigger notify_work on bloud.operations',
  'a right that was revoked': 'revoke select on bloud.apps from bloud_viewer',
  'a right that was granted': 'grant insert on bloud.apps to bloud_viewer',
  'a function of another origin': `create function bloud.foreign_one() returns integer language sql as 'select 1'`,
})) {
  test(`the next deployment takes back ${what}`, async (t) => {
    const { url, admin } = await migrated(t)
    const before = await schemaDump(admin)
    await admin.query(change)
    assert.notDeepEqual(await schemaDump(admin), before)
    await migrate({ url, log })
    const comparable = (lines: string[]) => lines.filter((line) => !line.includes('bloud.deployment'))
    assert.deepEqual(comparable(await schemaDump(admin)), comparable(before))
  })
}

test('concurrent deployments of an empty database all succeed', async (t) => {
  const name = `empty_${randomBytes(6).toString('hex')}`
  await administer((admin) => admin.query(`create database ${name}`))
  t.after(() => administer((admin) => admin.query(`drop database ${name} with (force)`)))
  await Promise.all(Array.from({ length: 4 }, () => migrate({ url: urlOf(name), log })))
})
