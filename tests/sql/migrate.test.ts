/** Tests that a migration of the schema is applied completely or not at all. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import type pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { migrate } from '../../src/db/migration.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProxy } from '../relay/proxy.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { schemaDump } from '../support/dump.ts'
import { session, value } from '../support/sql.ts'

const top = temporaryDirectory()
const log = { info() {} }
const LIMIT_MS = 20_000
/** In the middle of a migration, the tests interrupt only every 12th SQL statement or network chunk. */
const EVERY = 12
/** Number of network chunks at the start and at the end of a migration that are all interrupted. */
const DENSE = 8

interface Database {
  url: string
  client: pg.Client
  dump(): Promise<string[]>
}

async function empty(t: TestContext): Promise<Database> {
  const name = `migrate_${randomBytes(6).toString('hex')}`
  await administer((admin) => admin.query(`create database ${name}`))
  const client = await session(urlOf(name))
  t.after(async () => {
    await client.end()
    await administer((admin) => admin.query(`drop database ${name} with (force)`))
  })
  return { url: urlOf(name), client, dump: () => schemaDump(client) }
}

/**
 * Writes a copy of sql/ with the changes of a fictitious later version: new objects, a changed view and a
 * dropped function.
 */
function nextVersion(): string {
  const dir = mkdtempSync(join(top, 'sql-'))
  cpSync(join(ROOT, 'sql'), dir, { recursive: true })
  const edit = (file: string, change: (text: string) => string) =>
    writeFileSync(join(dir, file), change(readFileSync(join(dir, file), 'utf8')))
  writeFileSync(
    join(dir, 'migrations/9999_next.sql'),
    `create table bloud.notes (app text primary key, note text not null);
    alter table bloud.apps add column colour text not null default 'blue';
    insert into bloud.status_transitions values ('running', 'queued', 'test');
    create index apps_by_colour on bloud.apps (colour);`,
  )
  writeFileSync(
    join(dir, 'functions/notes.sql'),
    `create or replace function bloud.note_of(p_app text) returns text language sql stable as
      $$ select n.note from bloud.notes n where n.app = p_app $$;`,
  )
  edit('views.sql', (text) =>
    text.replace('create view bloud.queue as\nselect', 'create view bloud.queue as\nselect 1 as one,'),
  )
  edit('functions/operation.sql', (text) =>
    text.replace(/create or replace function bloud\.operation_log[\s\S]*/, ''),
  )
  edit('grants.sql', (text) => text.replace(', bloud.operation_log(bigint, bigint, integer)', ''))
  return dir
}

let next: string
before(() => {
  next = nextVersion()
})

test('concurrent and repeated deploys leave the schema of a single deploy', async (t) => {
  const [one, four] = [await empty(t), await empty(t)]
  await migrate({ url: one.url, log })
  const once = await one.dump()
  assert.ok(once.length > 500)
  await Promise.all(Array.from({ length: 4 }, () => migrate({ url: four.url, log })))
  assert.deepEqual(await four.dump(), once)
  await migrate({ url: one.url, log })
  assert.deepEqual(await one.dump(), once)
})

test('a fresh install has the same schema as an upgrade from the version before', async (t) => {
  const [fresh, old] = [await empty(t), await empty(t)]
  await migrate({ url: fresh.url, log, sqlDir: next })
  await migrate({ url: old.url, log })
  const before = await old.dump()
  await migrate({ url: old.url, log, sqlDir: next })
  assert.deepEqual(await old.dump(), await fresh.dump())
  assert.notDeepEqual(await old.dump(), before)
  assert.equal(
    await value(old.client, "select to_regproc('bloud.operation_log')"),
    null,
    'a function that the new version lacks is dropped',
  )
})

/**
 * Writes a copy of sql/ with only the first migration. Files that name columns of later migrations are
 * emptied.
 */
function firstVersion(): string {
  const dir = mkdtempSync(join(top, 'sql-'))
  cpSync(join(ROOT, 'sql'), dir, { recursive: true })
  for (const file of readdirSync(join(dir, 'migrations')))
    if (!file.startsWith('0001')) rmSync(join(dir, 'migrations', file))
  for (const file of ['views.sql', 'grants.sql']) writeFileSync(join(dir, file), '')
  for (const file of readdirSync(join(dir, 'comments'))) rmSync(join(dir, 'comments', file))
  return dir
}

test('events written by the first schema version are read unchanged after all migrations', async (t) => {
  const [fresh, database] = [await empty(t), await empty(t)]
  await migrate({ url: database.url, log, sqlDir: firstVersion() })
  const app = {
    id: 7,
    name: 'flow',
    display_name: 'Flow',
    version: '1.2',
    status: 'running',
    port: null,
    is_system: false,
    integration_config: { database: ['postgres'] },
    installed_at: '2026-01-02T03:04:05.678901+00:00',
    updated_at: '2026-01-02T03:04:05.678901+00:00',
  }
  const insert = `insert into bloud.events (seq, at, app, from_status, to_status, actor, origin, cause, data)
    values ($1, '2026-01-02T03:04:06+00:00', 'flow', $2, $3, 'me', 'psql', null, $4)`
  await database.client.query(insert, [1, 'starting', 'running', app])
  await database.client.query(insert, [2, 'stopped', null, { ...app, status: 'stopped', port: 80 }])
  await database.client.query(`set session_replication_role = replica;
    insert into bloud.apps (name, display_name, version, status) values ('odd', 'Odd', '1', 'queued');
    update bloud.apps set cause = '"by hand"';
    set session_replication_role = origin`)
  await migrate({ url: database.url, log })
  await migrate({ url: fresh.url, log })
  assert.deepEqual(await database.dump(), await fresh.dump(), 'a fresh install equals a migrated one')
  assert.deepEqual(await value(database.client, 'select cause from bloud.apps'), {
    class: 'health',
    message: 'by hand',
  })
  await database.client.query("set timezone = 'UTC'")
  const { rows } = await database.client.query(
    "select event from bloud.stream_after(0, 10) where app = 'flow' order by seq",
  )
  const common = {
    app: 'flow',
    at: '2026-01-02T03:04:06+00:00',
    operation_id: null,
    actor: 'me',
    origin: 'psql',
    cause: null,
  }
  assert.deepEqual(
    rows.map(({ event }) => event),
    [
      { ...app, ...common, seq: 1, from_status: 'starting', to_status: 'running' },
      { ...app, ...common, seq: 2, from_status: 'stopped', to_status: null, status: 'stopped', port: 80 },
    ],
  )
  await assert.rejects(database.client.query("update bloud.events set actor = 'x'"), { code: 'BL018' })
})

test('an older program refuses a newer schema with a message and changes nothing', async (t) => {
  const database = await empty(t)
  await migrate({ url: database.url, log, sqlDir: next })
  const newer = await database.dump()
  await assert.rejects(migrate({ url: database.url, log }), {
    code: 'schema_newer',
    message: /migrated by a newer version of the program \(9999_next\)\. Start that version/,
  })
  assert.deepEqual(await database.dump(), newer)
})

test('the error of a deploy names the failing file, and the schema is unchanged', async (t) => {
  const database = await empty(t)
  await migrate({ url: database.url, log })
  const old = await database.dump()
  for (const file of ['migrations/9999_next.sql', 'functions/notes.sql', 'comments/app.sql']) {
    const broken = nextVersion()
    writeFileSync(join(broken, file), 'create table bloud.half (); select nothing;')
    const message = new RegExp(`^sql/${file}: .*"nothing"`)
    await assert.rejects(migrate({ url: database.url, log, sqlDir: broken }), {
      code: 'migration_failed',
      message,
    })
    assert.deepEqual(await database.dump(), old, file)
    rmSync(broken, { recursive: true })
  }
})

/** Creates an event trigger that ends a session at its n-th DDL statement. Returns a function that sets n. */
async function endAtStatement(client: pg.Client): Promise<(n: number) => Promise<unknown>> {
  await client.query(`
    create sequence public.statement;
    create function public.end_at_statement() returns event_trigger language plpgsql security definer as $$
      begin
        if nextval('public.statement') = current_setting('test.end_at')::bigint then
          perform pg_terminate_backend(pg_backend_pid());
        end if;
      end $$;
    set test.end_at = 0;
    create event trigger end_at_statement on ddl_command_start execute function public.end_at_statement()`)
  const name = await value(client, 'select current_database()')
  return (n) =>
    client.query(`alter sequence public.statement restart; alter database ${name} set test.end_at = ${n}`)
}

test('an upgrade killed at any statement leaves the old schema, and the next upgrade succeeds', async (t) => {
  const [wanted, database] = [await empty(t), await empty(t)]
  await migrate({ url: wanted.url, log, sqlDir: next })
  await migrate({ url: database.url, log })
  const old = await database.dump()
  const endAt = await endAtStatement(database.client)
  let ended = 0
  for (let n = 1; ; n += n < 2 * EVERY ? 1 : EVERY) {
    await endAt(n)
    const outcome = await migrate({ url: database.url, log, sqlDir: next }).catch((error: Error) => error)
    if (!outcome) break
    ended += 1
    assert.match(outcome.message, /terminating connection|terminated unexpectedly/)
    assert.deepEqual(await database.dump(), old, `statement ${n}`)
  }
  assert.ok(ended > 40, `ended ${ended} times`)
  assert.deepEqual(await database.dump(), await wanted.dump())
})

function cutPoints(count: number): number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1)
  return all.filter((n) => n <= DENSE || n > count - DENSE || n % EVERY === 0)
}

test('an install with a cut connection leaves no schema or all of it, and the next one succeeds', async (t) => {
  const [wanted, database] = [await empty(t), await empty(t)]
  await migrate({ url: wanted.url, log })
  const whole = await wanted.dump()
  const hasEnded = async () =>
    (await value(
      database.client,
      `select count(*) = 0 from pg_stat_activity
      where datname = current_database() and application_name = 'bloud-migrate'`,
    )) || undefined
  const outcomes = { nothing: 0, all: 0 }
  const complete = await startCuttingProxy(database.url, Number.POSITIVE_INFINITY)
  await migrate({ url: complete.url, log })
  complete.stop()
  await database.client.query('drop schema bloud cascade')
  for (const pieces of cutPoints(complete.sent())) {
    const line = await startCuttingProxy(database.url, pieces)
    await migrate({ url: line.url, log }).catch(() => {})
    line.stop()
    assert.ok(await pollUntil(hasEnded, LIMIT_MS), 'the session is still there')
    const found = await database.dump()
    if (found.length > 0) assert.deepEqual(found, whole, `piece ${pieces}`)
    outcomes[found.length > 0 ? 'all' : 'nothing'] += 1
    await migrate({ url: database.url, log })
    assert.deepEqual(await database.dump(), whole)
    await database.client.query('drop schema bloud cascade')
  }
  assert.ok(outcomes.nothing > 10 && outcomes.all >= 2, JSON.stringify(outcomes))
})

test('a deploy whose server stops answering fails with a message', async (t) => {
  const database = await empty(t)
  const { hostname: host, port } = new URL(database.url)
  const proxy = await startProxy({ host, port: Number(port) })
  t.after(proxy.stop)
  const url = new URL(database.url)
  url.port = String(proxy.port)
  const deploy = () => migrate({ url: url.href, log: { info() {} }, answerLimitMs: 1_000 })
  const other = await session(database.url)
  t.after(() => other.end())
  await other.query('begin; create schema bloud')
  const waiting = assert.rejects(deploy(), { code: 'no_answer', message: /has not answered for 1 s/ })
  const isWaiting = async () =>
    (await value(
      database.client,
      `select true from pg_stat_activity where application_name = 'bloud-migrate'
      and datname = current_database() and wait_event_type = 'Lock'`,
    )) || undefined
  assert.ok(await pollUntil(isWaiting, LIMIT_MS))
  proxy.setMode('dropping')
  await waiting
  await assert.rejects(deploy(), { code: 'no_answer', message: /127\.0\.0\.1:\d+ has not answered for 5 s/ })
})
