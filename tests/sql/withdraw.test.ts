/**
 * Tests that a cancel or uninstall of a queued app also removes its queued dependencies, unless they are
 * needed otherwise.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  entry,
  rebuildAll,
  refusalOf,
  session,
  transitionsOf,
  value,
  waitingForLock,
} from '../support/sql.ts'
import { useDatabase } from './support.ts'

const needs = (...names: string[]) => ({
  integrations: Object.fromEntries(
    names.map((name) => [name, { required: true, compatible: [{ app: name, default: true }] }]),
  ),
})
const CATALOG = [
  entry('disk'),
  entry('db', needs('disk')),
  entry('wiki', needs('db')),
  entry('blog', needs('db')),
  entry('lone'),
]

const db = useDatabase('withdraw', CATALOG)

const call = (verb: string, app: string) => db.operator.query(`select bloud.${verb}($1)`, [app])
const statuses = async (): Promise<Record<string, string>> => {
  const { rows } = await db.root.query('select name, status from bloud.apps order by name')
  return Object.fromEntries(rows.map(({ name, status }) => [name, status]))
}
const assertInvariants = async () =>
  assert.deepEqual((await db.root.query('select * from bloud.check_invariants()')).rows, [])

test('a cancel or uninstall of a queued app withdraws its queued dependencies too', async () => {
  await call('install', 'wiki')
  await call('cancel', 'wiki')
  assert.deepEqual(await statuses(), { wiki: 'failed' })
  assert.deepEqual(await transitionsOf(db.root, 'disk'), ['→queued', 'queued→'])
  assert.equal(await value(db.root, "select count(*)::int from bloud.operations where state = 'queued'"), 0)
  await call('retry', 'wiki')
  await call('uninstall', 'wiki')
  assert.deepEqual(await statuses(), {})
  await assertInvariants()
})

test('a dependency that another app uses, or that an operator requested, is not withdrawn', async () => {
  await call('install', 'wiki')
  await call('install', 'blog')
  await call('cancel', 'wiki')
  assert.deepEqual(await statuses(), { blog: 'queued', db: 'queued', disk: 'queued', wiki: 'failed' })
  await call('install', 'lone')
  await call('uninstall', 'blog') // does not withdraw db, because db was queued for wiki and not for blog
  await call('uninstall', 'db')
  await call('uninstall', 'disk')
  await call('install', 'wiki')
  await call('install', 'disk')
  await call('cancel', 'wiki')
  assert.deepEqual(await statuses(), { disk: 'queued', lone: 'queued', wiki: 'failed' })
  await assertInvariants()
})

test('a cancel waits for an uncommitted install and keeps the dependencies of that install', async (t) => {
  await call('install', 'wiki')
  const other = await session(db.database.urlFor('bloud_operator'))
  t.after(() => other.end())
  await other.query("begin; select bloud.install('blog')")
  const cancelled = call('cancel', 'wiki')
  await waitingForLock(db.root)
  await other.query('commit')
  await cancelled
  assert.deepEqual(await statuses(), { blog: 'queued', db: 'queued', disk: 'queued', wiki: 'failed' })
  await rebuildAll(db.root, db.attempt)
  assert.equal(await value(db.root, "select status from bloud.apps where name = 'blog'"), 'running')
})

test('an uninstall that is queued beyond its deadline fails, and the app stays active', async () => {
  await call('install', 'lone')
  await rebuildAll(db.root, db.attempt)
  await call('uninstall', 'lone')
  assert.equal(await value(db.root, 'select deadline > now() from bloud.apps'), true)
  await db.root.query("update bloud.apps set deadline = now() - interval '1 minute'")
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 1)
  assert.deepEqual(await statuses(), { lone: 'error' })
  const last = await db.root.query('select state, cause from bloud.operations order by id desc limit 1')
  assert.equal(last.rows[0].state, 'failed')
  assert.match(last.rows[0].cause.message, /No worker claimed the request/)
  assert.equal(await value(db.root, 'select deadline from bloud.apps'), null)
  await assertInvariants()
})

test('retry is refused while an uninstall is queued, unless the uninstall repeats a failed one', async () => {
  await call('install', 'lone')
  await rebuildAll(db.root, db.attempt)
  await call('uninstall', 'lone')
  assert.equal((await refusalOf(db.operator, "select bloud.retry('lone')")).code, 'BL004')
  await db.operator.query('select') // returns once the transaction of the failed verb has ended
  const id = await value(db.root, 'select id from bloud.claim_rebuild($1, 60)', [db.attempt])
  const cause = JSON.stringify({ class: 'build', message: 'no' })
  await db.root.query("select bloud.end_rebuild($1, $2, false, 1, null, '{}', $3)", [db.attempt, id, cause])
  assert.deepEqual(await statuses(), { lone: 'error' })
  const repeated = await value(db.operator, "select id from bloud.retry('lone')")
  assert.equal(await value(db.operator, "select id from bloud.retry('lone')"), repeated)
})

test('a choice for a slot that does not exist is refused, and the detail lists the existing slots', async () => {
  const refusal = await refusalOf(db.operator, `select bloud.install('wiki', '{"choices":{"databse":"db"}}')`)
  assert.equal(refusal.code, 'BL017')
  assert.match(refusal.message, /wiki has no slot databse/)
  assert.match(refusal.detail ?? '', /Slots: .*\bdb\b/)
  for (const options of ['[]', '{"choices":[]}', '{"choices":"db"}', '{"choices":{"db":{"x":1}}}', '7'])
    assert.equal(
      (await refusalOf(db.operator, 'select bloud.plan_install($1, $2)', ['wiki', options])).code,
      'BL017',
    )
  await db.operator.query(`select bloud.install('wiki', '{"choices":{"db":"db","db.disk":"disk"}}')`)
})

test('the actor of an event is the login, although the session has another role', async () => {
  await db.root.query('begin')
  await db.root.query('set local role bloud_operator')
  await db.root.query("select bloud.install('lone')")
  await db.root.query('reset role')
  await db.root.query('commit')
  const { rows } = await db.root.query('select actor, origin from bloud.events')
  assert.deepEqual(rows, [{ actor: 'postgres', origin: 'psql' }])
})

test('the actor of a deletion is the login, although the session has another role', async () => {
  await db.root.query('begin')
  await db.root.query('set local role bloud_operator')
  await db.root.query("select bloud.install('lone')")
  await db.root.query("select bloud.uninstall('lone', purge => 'lone')")
  await db.root.query('set local role bloud_viewer')
  await db.root.query('commit')
  const { rows } = await db.root.query(
    'select to_status, actor, origin from bloud.events order by seq desc limit 1',
  )
  assert.deepEqual(rows, [{ to_status: null, actor: 'postgres', origin: 'psql' }])
  assert.deepEqual((await db.root.query('select * from bloud.deletions')).rows, [])
})
