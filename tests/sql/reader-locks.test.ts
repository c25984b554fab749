/** Tests that no lock that a role with read access can take delays an operator or the orchestrator. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type pg from 'pg'
import { entry, rebuildAll, session, value } from '../support/sql.ts'
import { statuses, useDatabase } from './support.ts'

const A = entry('a', { port: 4000 })
const db = useDatabase('reader_locks', [A, entry('b')])
const READERS = ['bloud_viewer', 'bloud_relay', 'bloud_orchestrator', 'bloud_operator'] as const
const MODES = `access share|row share|row exclusive|share update exclusive|share|share row exclusive|exclusive
  |access exclusive`
  .split('|')
  .map((mode) => mode.trim())

/** Time after which a statement that waits for a lock fails. A reader must never make a statement wait. */
const WAIT_LIMIT = '10s'
const RELATIONS = `select quote_ident(relname) as name from pg_class
  where relnamespace = 'bloud'::regnamespace and relkind in ('r', 'p', 'v') order by 1`
/** Takes every advisory lock that a name, a port or a small number of this system can lead to. */
const ADVISORY = `
  select pg_advisory_lock(k), pg_advisory_lock_shared(k) from generate_series(45069, 45074) k;
  select pg_advisory_lock(k, o.id) from generate_series(45069, 45074) k
  cross join (select generate_series(0, 3) union select hashtext(n) from unnest(array['a', 'b']) n
    union select unnest(array[4000, 1880])) as o (id)`

const sessions: pg.Client[] = []
after(() => Promise.all(sessions.map((each) => each.end())))

async function reader(role: (typeof READERS)[number]): Promise<pg.Client> {
  const client = await session(db.database.url)
  sessions.push(client)
  await client.query(`set role ${role}`)
  return client
}

async function relations(): Promise<string[]> {
  return (await db.root.query(RELATIONS)).rows.map(({ name }) => name)
}

/** Locks every table and view in every mode that the role may take. Returns the modes that were granted. */
async function lockAll(client: pg.Client): Promise<string[]> {
  const granted = new Set<string>()
  await client.query('begin')
  for (const name of await relations()) {
    for (const mode of MODES) {
      await client.query('savepoint each_lock')
      await client.query(`lock table bloud.${name} in ${mode} mode nowait`).then(
        () => granted.add(mode),
        (error) => {
          assert.ok(['42501', '55P03'].includes(error.code), `${name}, ${mode}: ${error.message}`)
          return client.query('rollback to each_lock')
        },
      )
    }
  }
  return [...granted]
}

/** Runs every verb, and everything that the orchestrator does for them. */
async function live(): Promise<void> {
  for (const client of [db.root, db.operator]) await client.query(`set lock_timeout = '${WAIT_LIMIT}'`)
  const call = (verb: string) => db.operator.query(`select bloud.${verb}`)
  await call("install('a')")
  await rebuildAll(db.root, db.attempt)
  await call("rename('a', 'Another')")
  await call("install('b')")
  await call("cancel('b')")
  await call("retry('b')")
  await rebuildAll(db.root, db.attempt)
  assert.deepEqual(await statuses(db), { a: 'running', b: 'running' })
  const health = "select bloud.report_health($1, 'b', false, '{}')"
  assert.equal(await value(db.root, health, [db.attempt]), 'error')
  await call("uninstall('b')")
  await call("cancel('b')")
  await call("uninstall('b')")
  await db.root.query("update bloud.apps set deadline = now() - interval '1 hour' where name = 'b'")
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 1)
  await call('refresh_catalog()')
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify([A])])
  await db.root.query("select bloud.renew_lease($1, 3600), bloud.prune($1, '1 day', 1, 10)", [db.attempt])
  assert.deepEqual((await db.root.query('select * from bloud.check_invariants()')).rows, [])
}

test('advisory locks of a reader delay no verb, no claim, no health report and no commit', async () => {
  const holder = await reader('bloud_viewer')
  await holder.query(ADVISORY)
  await live()
})

test('a reader may lock tables and views only in the mode of a select, which delays nothing', async () => {
  for (const role of READERS) {
    const holder = await reader(role)
    assert.deepEqual(await lockAll(holder), ['access share'], role)
  }
  await live()
})

test('the tables that serve only as locks can neither be read nor locked by a reader', async () => {
  const locks = (await relations()).filter((name) => name.startsWith('lock_'))
  assert.ok(locks.length > 0)
  for (const role of READERS) {
    const client = await reader(role)
    for (const name of locks) {
      for (const statement of [
        `select from bloud.${name}`,
        `lock table bloud.${name} in access share mode`,
        `select from bloud.${name} for share`,
      ]) {
        await assert.rejects(client.query(`begin; ${statement}`), { code: '42501' }, `${role}: ${statement}`)
        await client.query('rollback')
      }
    }
  }
})

test('no function or trigger of the schema uses an advisory lock, which every login may take', async () => {
  const { rows } = await db.root.query(
    "select proname from pg_proc where pronamespace = 'bloud'::regnamespace and prosrc ~* 'advisory'",
  )
  assert.deepEqual(rows, [])
})
