/**
 * Tests of the locks that install(), uninstall() and other SQL functions take when they run at the same time.
 */
import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { lead, rebuildAll, refusalOf, session, value, waitingForLock } from '../support/sql.ts'
import { VERB_CATALOG } from '../support/verb-catalog.ts'

let database: TestDatabase
let root: pg.Client
let operator: pg.Client
let attempt: number

beforeEach(async () => {
  await close()
  database = await testDatabase('lock')
  root = await session(database.url)
  operator = await session(database.urlFor('bloud_operator'))
  attempt = await lead(root, VERB_CATALOG)
})
after(close)

async function close(): Promise<void> {
  await Promise.all([root?.end(), operator?.end()])
  await database?.drop()
}

const status = (app: string): Promise<string | undefined> =>
  value(root, 'select status from bloud.apps where name = $1', [app])
const install = (app: string): Promise<string> => value(operator, 'select id from bloud.install($1)', [app])

test('concurrent calls of install return the same operation', async () => {
  const others = await Promise.all(
    Array.from({ length: 8 }, () => session(database.urlFor('bloud_operator'))),
  )
  const ids = await Promise.all(others.map((each) => value(each, "select id from bloud.install('flow')")))
  assert.equal(new Set(ids).size, 1)
  await Promise.all(others.map((each) => each.end()))
})

/**
 * Runs `first` in a transaction, and commits it as soon as `second` waits for a lock in another session.
 * Returns the error code of `second`.
 */
async function whileOpen(first: string, second: string): Promise<string> {
  const holder = await session(database.urlFor('bloud_operator'))
  await holder.query(`begin; ${first}`)
  const waiting = refusalOf(operator, second)
  await waitingForLock(root)
  await holder.query('commit')
  await holder.end()
  return (await waiting).code
}

test('an uninstall of an app waits for an uncommitted install that needs the app, and is refused', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  assert.equal(await whileOpen("select bloud.install('picky')", "select bloud.uninstall('disk')"), 'BL010')
})

test('a concurrent install and retry of one app take their locks in the same order', async () => {
  await install('multi') // installs the dependency disk too, which is locked before multi
  await root.query(
    "select bloud.sweep($1) from set_config('bloud.clock', (now() + interval '25 hours')::text, false)",
    [attempt],
  )
  const holder = await session(database.urlFor('bloud_operator'))
  await holder.query("begin; select bloud.install('disk')")
  const retried = value(operator, "select id from bloud.retry('multi')")
  await waitingForLock(root)
  // No deadlock occurs, because install() and retry() both lock the app disk before the app multi.
  await holder.query("set lock_timeout = '2s'; select bloud.install('multi')")
  await holder.query('commit')
  await retried
  await holder.end()
})

test('an install waits for the uncommitted uninstall of its dependency, and is refused', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  assert.equal(await whileOpen("select bloud.uninstall('disk')", "select bloud.install('multi')"), 'BL004')
})

test('the second of two concurrent installs of apps with the same port is refused', async () => {
  assert.equal(await whileOpen("select bloud.install('flow')", "select bloud.install('rival')"), 'BL012')
})

test('an install in an open transaction does not block installs with the same dependency', async () => {
  await install('db')
  await rebuildAll(root, attempt)
  const holder = await session(database.urlFor('bloud_operator'))
  await holder.query("begin; select bloud.install('reader')")
  await operator.query("set lock_timeout = '2s'")
  await install('reader2')
  await root.query("set lock_timeout = '2s'")
  await rebuildAll(root, attempt)
  await root.query("select bloud.report_health($1, 'db', false, '{}')", [attempt])
  assert.deepEqual(
    [await status('reader2'), await status('db'), await status('reader')],
    ['running', 'error', undefined],
  )
  await holder.query('rollback')
  await holder.end()
})

test('a verb is refused in a transaction whose snapshot misses later commits', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  for (const level of ['repeatable read', 'serializable']) {
    const stale = await session(database.urlFor('bloud_operator'))
    await stale.query(`begin isolation level ${level}; select status from bloud.apps`)
    await install('picky')
    const refusal = await refusalOf(stale, "select bloud.uninstall('disk')")
    assert.equal(refusal.code, 'BL019', level)
    assert.ok(refusal.hint)
    await stale.end()
  }
})

test('a verb limits the idle time of its open transaction to one minute', async () => {
  const limit = async (): Promise<unknown> => value(operator, 'show idle_in_transaction_session_timeout')
  await operator.query("begin; select bloud.install('flow')")
  assert.equal(await limit(), '1min')
  await operator.query('rollback')
  assert.equal(await limit(), '0')
  await operator.query("set idle_in_transaction_session_timeout = '5s'; begin; select bloud.install('flow')")
  assert.equal(await limit(), '5s', 'a shorter limit is kept')
  await operator.query('rollback')
})
