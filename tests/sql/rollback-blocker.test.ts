/** Tests of the blockers (reasons why a rollback is not possible) in the result of plan_rollback(). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf, value } from '../support/sql.ts'
import { APP_CATALOG, claim, install, plan, rebuild, rollback, statuses, useGenerations } from './support.ts'

const db = useGenerations('blocker')

const busy = { code: 'BL004', message: 'Other work is on its way' }
const nothing = { code: 'BL021', message: 'There is nothing to roll back to' }

async function isRefused(expected: { code: string; message: string }, detail: RegExp): Promise<void> {
  const { hint, ...refusal } = await refusalOf(db.operator, 'select bloud.rollback()')
  assert.deepEqual({ code: refusal.code, message: refusal.message }, expected)
  assert.match(refusal.detail ?? '', detail)
  assert.ok(hint)
  const [blocker] = (await plan(db)).blockers
  assert.deepEqual(blocker, {
    sqlstate: refusal.code,
    message: refusal.message,
    detail: refusal.detail,
    hint,
  })
  assert.equal(await value(db.root, "select count(*)::int from bloud.operations where kind = 'rollback'"), 0)
}

test('a rollback is refused while other operations are queued or active, or an app is starting', async () => {
  await install(db, 'a', '1', '2')
  await db.operator.query("select bloud.install('b')")
  await isRefused(busy, /^Under way: install b\.$/)
  const id = await claim(db)
  await isRefused(busy, /install b/)
  await db.root.query("select bloud.begin_run($1, $2, '2', '{}')", [db.attempt, id])
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '3')", [db.attempt, id])
  await isRefused(busy, /install b/)
})

test('a rollback is refused while another session holds an app in an open transaction', async () => {
  await install(db, 'a', '1', '2')
  await db.root.query("begin; select bloud.install('b')")
  const { code, detail } = await refusalOf(db.operator, 'select bloud.rollback()')
  assert.deepEqual(
    { code, detail },
    { code: 'BL004', detail: 'Another session holds an app in an open transaction.' },
  )
  await db.root.query('rollback')
  assert.ok(await rollback(db))
})

test('a rollback in an open transaction makes other verbs wait, and nothing is claimed', async () => {
  await install(db, 'a', '1', '2')
  await db.operator.query('begin; select bloud.rollback()')
  await db.root.query("set lock_timeout = '200ms'")
  assert.equal((await refusalOf(db.root, "select bloud.install('c')")).code, '55P03')
  assert.equal(await claim(db), undefined)
  await db.operator.query('commit')
  await db.root.query("set lock_timeout = 0; select bloud.install('c')")
  await claim(db)
  assert.deepEqual(await statuses(db), { a: 'stopping', c: 'queued' })
})

test('a rollback is refused if another request commits between its check and its lock', async () => {
  await install(db, 'a', '1', '2')
  const source = await value<string>(db.root, "select pg_get_functiondef('bloud.lock_all_apps'::regproc)")
  await db.root.query(source.replace(/begin\n/, "begin\n  perform bloud.install('c');\n"))
  assert.equal((await refusalOf(db.operator, 'select bloud.rollback()')).code, 'BL004')
  assert.deepEqual(await statuses(db), { a: 'running' })
})

test('a rollback is refused if there is no older generation', async () => {
  await isRefused(nothing, /not activated a generation yet/)
  await install(db, 'a', null, '1')
  await isRefused(nothing, /before generation 1 is not known/)
})

test('a rollback is refused if the agent did not make the older generation', async () => {
  await install(db, 'a', '1', '2')
  await install(db, 'b', '7', '8')
  await isRefused(nothing, /Generation 7, which was active before, was not made by the agent/)
})

test('a rollback is refused if the apps of the older generation were not recorded', async () => {
  await db.operator.query("select bloud.install('a')")
  await rebuild(db, '1', '2', false)
  await install(db, 'b', '2', '3')
  await isRefused(nothing, /Generation 2/)
})

test('a rollback is refused if the catalog has lost an app of the older generation', async () => {
  await install(db, 'a', '1', '2')
  await db.operator.query("select bloud.uninstall('a', purge => 'a')")
  await rebuild(db, '2', '3')
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify(APP_CATALOG.slice(1))])
  await isRefused(nothing, /Generation 2 has a, which the catalog no longer has/)
})
