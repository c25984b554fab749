/** Tests of rollback(), which returns the machine to its previous generation (complete configuration). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf, session, transitionsOf, value } from '../support/sql.ts'
import { claim, DESIRED, install, plan, rebuild, rollback, statuses, useGenerations } from './support.ts'

const db = useGenerations('rollback')

const operation = async (id: string) =>
  (
    await db.root.query(
      'select kind, state, app, cause, origin, requested_by from bloud.operations where id = $1',
      [id],
    )
  ).rows[0]

test('a rollback uninstalls only apps that the older generation lacks, and keeps their data', async () => {
  await install(db, 'a', '1', '2')
  await install(db, 'b', '2', '3')
  assert.deepEqual(await plan(db), { from: '3', to: '2', turns_off: ['b'], turns_on: [], blockers: [] })
  const id = await rollback(db)
  assert.deepEqual(await statuses(db), { a: 'running', b: 'stopping' })
  await rebuild(db, '3', '2')
  assert.deepEqual(await statuses(db), { a: 'running', b: 'stopped' })
  const { state, app, requested_by } = await operation(id)
  assert.deepEqual(
    { state, app, requested_by },
    { state: 'succeeded', app: null, requested_by: 'bloud_psql' },
  )
  assert.equal((await transitionsOf(db.root, 'a')).length, 5, 'no transition')
  assert.deepEqual((await transitionsOf(db.root, 'b')).slice(-2), ['running→stopping', 'stopping→stopped'])
  assert.deepEqual(
    Object.keys(await value(db.root, DESIRED)),
    ['a'],
    'the next install does not include it again',
  )
})

test('a rollback installs an app of the older generation again, with its older configuration', async () => {
  await install(db, 'b', '1', '2')
  await db.operator.query("select bloud.uninstall('b')")
  await rebuild(db, '2', '3')
  await db.root.query("update bloud.catalog_cache set version = '2', port = 4999 where name = 'b'")
  const id = await rollback(db)
  assert.deepEqual(await statuses(db), { b: 'queued' })
  await claim(db)
  assert.deepEqual(await statuses(db), { b: 'configuring' })
  const { rows } = await db.root.query(
    'select rolls_back_to, generation_before from bloud.rebuilds where state = $1',
    ['active'],
  )
  assert.deepEqual(rows, [{ rolls_back_to: '2', generation_before: '3' }])
  await rebuild(db, '3', '2')
  assert.deepEqual(await statuses(db), { b: 'running' })
  assert.equal((await operation(id)).state, 'succeeded')
  const { rows: apps } = await db.root.query('select version, port from bloud.apps')
  assert.deepEqual(apps, [{ version: '1', port: 4001 }])
})

test('a rollback gives an app of both generations its older choices', async () => {
  await install(db, 'b', '1', '2')
  await install(db, 'reader', '2', '3', { choices: { store: 'b' } })
  await db.root.query("select bloud.report_health($1, 'reader', false)", [db.attempt])
  await install(db, 'reader', '3', '4', { choices: { store: 'a' } })
  const config = () => value(db.root, "select integration_config from bloud.apps where name = 'reader'")
  assert.deepEqual(await config(), { store: ['a'] })
  await rollback(db)
  await rebuild(db, '4', '3')
  assert.deepEqual(await config(), { store: ['b'] })
  assert.deepEqual(await statuses(db), { a: 'stopped', b: 'running', reader: 'running' })
})

test('a second rollback goes one generation further back, never forward', async () => {
  await install(db, 'a', '1', '2')
  await install(db, 'b', '2', '3')
  await install(db, 'c', '3', '4')
  await rollback(db)
  await rebuild(db, '4', '3')
  assert.equal((await plan(db)).to, '2')
  await rollback(db)
  await rebuild(db, '3', '2')
  assert.deepEqual(await statuses(db), { a: 'running', b: 'stopped', c: 'stopped' })
  await install(db, 'd', '2', '5')
  assert.deepEqual(await plan(db), { from: '5', to: '2', turns_off: ['d'], turns_on: [], blockers: [] })
  await rollback(db)
  await rebuild(db, '5', '2')
  await rollback(db)
  await rebuild(db, '2', '1')
  assert.deepEqual(await statuses(db), { a: 'stopped', b: 'stopped', c: 'stopped', d: 'stopped' })
  assert.equal((await refusalOf(db.operator, 'select bloud.rollback()')).code, 'BL021')
})

test('repeated and concurrent calls of rollback return one operation', async () => {
  await install(db, 'a', '1', '2')
  const other = await session(db.database.urlFor('bloud_operator'))
  const ids = await Promise.all([rollback(db), value(other, 'select id from bloud.rollback()')])
  await other.end()
  assert.equal(ids[0], ids[1])
  await claim(db)
  assert.equal(await rollback(db), ids[0], 'also while it is active')
  assert.equal(await value(db.root, "select count(*)::int from bloud.operations where kind = 'rollback'"), 1)
})

test('a rollback is possible while a refresh of the catalog is queued, and the reverse', async () => {
  await install(db, 'a', '1', '2')
  await db.operator.query('select bloud.refresh_catalog()')
  await rollback(db)
  const refresh = await value(db.operator, 'select id from bloud.refresh_catalog()')
  assert.equal(await value(db.operator, 'select id from bloud.refresh_catalog()'), refresh)
})

test('a rollback is claimed first and is never combined with other operations', async () => {
  await install(db, 'a', '1', '2')
  await rollback(db)
  await db.operator.query("select bloud.install('c')")
  await claim(db)
  assert.deepEqual(await statuses(db), { a: 'stopping', c: 'queued' })
  await rebuild(db, '2', '1')
  assert.deepEqual(await statuses(db), { a: 'stopped', c: 'queued' })
  await rebuild(db, '1', '3')
  assert.deepEqual(await statuses(db), { a: 'stopped', c: 'running' })
})

test('an operation of a rollback is never part of another rebuild', async () => {
  await install(db, 'a', '1', '2')
  await rollback(db)
  // As claim_rebuild() finds it if the rollback is committed after the check for a queued rollback.
  await db.root.query(`update bloud.operations set state = 'active', started_at = now(),
    rebuild_id = (select max(id) from bloud.rebuilds) where kind = 'rollback'`)
  assert.equal(await claim(db), undefined)
  await db.root.query(`update bloud.operations set state = 'queued', started_at = null, rebuild_id = null
    where kind = 'rollback'`)
  assert.ok(await claim(db))
})

test('a rollback and all other operations wait while another session holds one of its apps', async () => {
  await install(db, 'a', '1', '2')
  await rollback(db)
  await db.root.query("select bloud.install('c')")
  await db.operator.query("begin; select bloud.uninstall('a')")
  assert.equal(await claim(db), undefined)
  await db.operator.query('rollback')
  assert.ok(await claim(db))
})

test('a failed rollback gives its cause to all its apps and operations; active apps stay active', async () => {
  await install(db, 'b', '1', '2')
  await db.operator.query("select bloud.install('a'); select bloud.uninstall('b')")
  await rebuild(db, '2', '3')
  const id = await rollback(db)
  await claim(db)
  await db.root.query("select bloud.begin_run($1, (select max(id) from bloud.rebuilds), '3')", [db.attempt])
  const cause = { class: 'activate', message: 'The rollback did not succeed: no space' }
  const next = await db.root.query(
    `select * from bloud.end_rebuild($1, (select max(id) from bloud.rebuilds), false, 1, '3', '{}', $2,
    true)`,
    [db.attempt, JSON.stringify(cause)],
  )
  assert.deepEqual(next.rows, [])
  assert.deepEqual(await statuses(db), { a: 'error', b: 'failed' })
  const { rows } = await db.root.query('select name, wanted, cause from bloud.apps order by name')
  assert.deepEqual(rows, [
    { name: 'a', wanted: true, cause: { phase: 'stopping', ...cause } },
    { name: 'b', wanted: false, cause: { phase: 'building', ...cause } },
  ])
  assert.deepEqual((await operation(id)).cause, cause)
  assert.equal((await plan(db)).to, '2', 'it can be requested again')
})

for (const app of ['a', 'b']) {
  test(`cancel of ${app}, an app of a queued rollback, cancels the whole rollback`, async () => {
    await install(db, 'b', '1', '2')
    await db.operator.query("select bloud.install('a'); select bloud.uninstall('b')")
    await rebuild(db, '2', '3')
    const id = await rollback(db)
    assert.deepEqual(await statuses(db), { a: 'stopping', b: 'queued' })
    assert.equal((await refusalOf(db.operator, "select bloud.uninstall('b')")).code, 'BL004')
    assert.equal(await value(db.operator, 'select state from bloud.cancel($1)', [app]), 'cancelled')
    assert.deepEqual(await statuses(db), { a: 'error', b: 'stopped' })
    assert.equal((await operation(id)).state, 'cancelled')
    assert.equal(await claim(db), undefined)
  })
}

test('a rollback that no worker claims within a day fails, with all its operations', async () => {
  await install(db, 'b', '1', '2')
  await db.operator.query("select bloud.install('a'); select bloud.uninstall('b')")
  await rebuild(db, '2', '3')
  const id = await rollback(db)
  await db.root.query("select set_config('bloud.clock', (now() + interval '25 hours')::text, false)")
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 1)
  assert.deepEqual(await statuses(db), { a: 'error', b: 'stopped' })
  assert.equal((await operation(id)).state, 'failed')
})
