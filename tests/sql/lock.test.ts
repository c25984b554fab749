/**
 * Tests of the locks that install(), uninstall() and other SQL functions take when they run at the same time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rebuildAll, refusalOf, session, value, waitingForLock } from '../support/sql.ts'
import { VERB_CATALOG } from '../support/verb-catalog.ts'
import { useDatabase } from './support.ts'

const db = useDatabase('lock', VERB_CATALOG)

const status = (app: string): Promise<string | undefined> =>
  value(db.root, 'select status from bloud.apps where name = $1', [app])
const install = (app: string): Promise<string> =>
  value(db.operator, 'select id from bloud.install($1)', [app])

test('concurrent calls of install return the same operation', async () => {
  const others = await Promise.all(
    Array.from({ length: 8 }, () => session(db.database.urlFor('bloud_operator'))),
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
  const holder = await session(db.database.urlFor('bloud_operator'))
  await holder.query(`begin; ${first}`)
  const waiting = refusalOf(db.operator, second)
  await waitingForLock(db.root)
  await holder.query('commit')
  await holder.end()
  return (await waiting).code
}

test('an uninstall of an app waits for an uncommitted install that needs the app, and is refused', async () => {
  await install('disk')
  await rebuildAll(db.root, db.attempt)
  assert.equal(await whileOpen("select bloud.install('picky')", "select bloud.uninstall('disk')"), 'BL010')
})

test('a concurrent install and retry of one app take their locks in the same order', async () => {
  await install('multi') // installs the dependency disk too, which is locked before multi
  await db.root.query(
    "select bloud.sweep($1) from set_config('bloud.clock', (now() + interval '25 hours')::text, false)",
    [db.attempt],
  )
  const holder = await session(db.database.urlFor('bloud_operator'))
  await holder.query("begin; select bloud.install('disk')")
  const retried = value(db.operator, "select id from bloud.retry('multi')")
  await waitingForLock(db.root)
  // No deadlock occurs, because install() and retry() both lock the app disk before the app multi.
  await holder.query("set lock_timeout = '2s'; select bloud.install('multi')")
  await holder.query('commit')
  await retried
  await holder.end()
})

test('an install waits for the uncommitted uninstall of its dependency, and is refused', async () => {
  await install('disk')
  await rebuildAll(db.root, db.attempt)
  assert.equal(await whileOpen("select bloud.uninstall('disk')", "select bloud.install('multi')"), 'BL004')
})

test('the second of two concurrent installs of apps with the same port is refused', async () => {
  assert.equal(await whileOpen("select bloud.install('flow')", "select bloud.install('rival')"), 'BL012')
})

test('an install in an open transaction does not block installs with the same dependency', async () => {
  await install('db')
  await rebuildAll(db.root, db.attempt)
  const holder = await session(db.database.urlFor('bloud_operator'))
  await holder.query("begin; select bloud.install('reader')")
  await db.operator.query("set lock_timeout = '2s'")
  await install('reader2')
  await db.root.query("set lock_timeout = '2s'")
  await rebuildAll(db.root, db.attempt)
  await db.root.query("select bloud.report_health($1, 'db', false, '{}')", [db.attempt])
  assert.deepEqual(
    [await status('reader2'), await status('db'), await status('reader')],
    ['running', 'error', undefined],
  )
  await holder.query('rollback')
  await holder.end()
})

test('a verb is refused in a transaction whose snapshot misses later commits', async () => {
  await install('disk')
  await rebuildAll(db.root, db.attempt)
  for (const level of ['repeatable read', 'serializable']) {
    const stale = await session(db.database.urlFor('bloud_operator'))
    await stale.query(`begin isolation level ${level}; select status from bloud.apps`)
    await install('picky')
    const refusal = await refusalOf(stale, "select bloud.uninstall('disk')")
    assert.equal(refusal.code, 'BL019', level)
    assert.ok(refusal.hint)
    await stale.end()
  }
})

test('a verb limits the idle time of its open transaction to one minute', async () => {
  const limit = async (): Promise<unknown> => value(db.operator, 'show idle_in_transaction_session_timeout')
  await db.operator.query("begin; select bloud.install('flow')")
  assert.equal(await limit(), '1min')
  await db.operator.query('rollback')
  assert.equal(await limit(), '0')
  await db.operator.query(
    "set idle_in_transaction_session_timeout = '5s'; begin; select bloud.install('flow')",
  )
  assert.equal(await limit(), '5s', 'a shorter limit is kept')
  await db.operator.query('rollback')
})
