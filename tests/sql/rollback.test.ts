import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, moves, refusalOf, session, value } from '../support/sql.ts'

let database: TestDatabase
let root: pg.Client
let operator: pg.Client
let attempt: number

const store = (defaultApp: string) => ({
  store: { required: true, compatible: [{ app: 'a', default: defaultApp === 'a' }, { app: 'b' }] },
})
const CATALOG = ['a', 'b', 'c', 'd'].map((name, nth) => entry(name, { port: 4000 + nth }))

beforeEach(async () => {
  await close()
  database = await testDatabase('rollback')
  root = await session(database.url)
  operator = await session(database.urlFor('bloud_operator'))
  attempt = await lead(root, [...CATALOG, entry('reader', { integrations: store('a') })])
})
after(close)

async function close(): Promise<void> {
  await operator?.end()
  await root?.end()
  await database?.drop()
}

const DESIRED = `select coalesce(jsonb_object_agg(d.name, jsonb_build_object(
  'version', d.version, 'port', d.port, 'integration_config', d.integration_config)), '{}')
  from bloud.desired_apps d`

async function claim(): Promise<string | undefined> {
  return value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
}

/** Claims the queued operations and ends their rebuild as succeeded; started apps then report healthy. */
async function rebuild(from: string | null, to: string, known = true): Promise<void> {
  const id = await claim()
  const desired = known ? JSON.stringify(await value(root, DESIRED)) : null
  await root.query('select bloud.begin_run($1, $2, $3, $4)', [attempt, id, from, desired])
  await root.query('select bloud.end_rebuild($1, $2, true, 0, $3)', [attempt, id, to])
  await heal()
}

const heal = () =>
  root.query("select bloud.report_health($1, name, true) from bloud.apps where status = 'starting'", [
    attempt,
  ])

async function install(app: string, from: string | null, to: string, options = {}): Promise<void> {
  await operator.query('select bloud.install($1, $2)', [app, options])
  await rebuild(from, to)
}

const rollback = (): Promise<string> => value(operator, 'select id from bloud.rollback()')
const plan = (): Promise<{ to: string; turns_off: string[]; turns_on: string[]; blockers: unknown[] }> =>
  value(operator, 'select bloud.plan_rollback()')
const statuses = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await root.query('select name, status from bloud.apps order by name')).rows.map((r) => [
      r.name,
      r.status,
    ]),
  )
const operation = async (id: string) =>
  (
    await root.query(
      'select kind, state, app, cause, origin, requested_by from bloud.operations where id = $1',
      [id],
    )
  ).rows[0]

test.afterEach(async () => {
  assert.deepEqual((await root.query('select * from bloud.check_invariants()')).rows, [])
})

test('apps that the older generation lacks are uninstalled with data kept; the others go on', async () => {
  await install('a', '1', '2')
  await install('b', '2', '3')
  assert.deepEqual(await plan(), { from: '3', to: '2', turns_off: ['b'], turns_on: [], blockers: [] })
  const id = await rollback()
  assert.deepEqual(await statuses(), { a: 'running', b: 'stopping' })
  await rebuild('3', '2')
  assert.deepEqual(await statuses(), { a: 'running', b: 'stopped' })
  const { state, app, requested_by } = await operation(id)
  assert.deepEqual(
    { state, app, requested_by },
    { state: 'succeeded', app: null, requested_by: 'bloud_operator' },
  )
  assert.equal((await moves(root, 'a')).length, 5, 'no transition')
  assert.deepEqual((await moves(root, 'b')).slice(-2), ['running→stopping', 'stopping→stopped'])
  assert.deepEqual(
    Object.keys(await value(root, DESIRED)),
    ['a'],
    'the next install does not include it again',
  )
})

test('an app uninstalled since is installed again with its older configuration', async () => {
  await install('b', '1', '2')
  await operator.query("select bloud.uninstall('b')")
  await rebuild('2', '3')
  await root.query("update bloud.catalog_cache set version = '2', port = 4999 where name = 'b'")
  const id = await rollback()
  assert.deepEqual(await statuses(), { b: 'queued' })
  await claim()
  assert.deepEqual(await statuses(), { b: 'configuring' })
  const { rows } = await root.query(
    'select rolls_back_to, generation_before from bloud.rebuilds where state = $1',
    ['active'],
  )
  assert.deepEqual(rows, [{ rolls_back_to: '2', generation_before: '3' }])
  await rebuild('3', '2')
  assert.deepEqual(await statuses(), { b: 'running' })
  assert.equal((await operation(id)).state, 'succeeded')
  const { rows: apps } = await root.query('select version, port from bloud.apps')
  assert.deepEqual(apps, [{ version: '1', port: 4001 }])
})

test('an app of both generations gets its older choices back', async () => {
  await install('b', '1', '2')
  await install('reader', '2', '3', { choices: { store: 'b' } })
  await root.query("select bloud.report_health($1, 'reader', false)", [attempt])
  await install('reader', '3', '4', { choices: { store: 'a' } })
  const config = () => value(root, "select integration_config from bloud.apps where name = 'reader'")
  assert.deepEqual(await config(), { store: ['a'] })
  await rollback()
  await rebuild('4', '3')
  assert.deepEqual(await config(), { store: ['b'] })
  assert.deepEqual(await statuses(), { a: 'stopped', b: 'running', reader: 'running' })
})

test('a second rollback goes one generation further back, never forward', async () => {
  await install('a', '1', '2')
  await install('b', '2', '3')
  await install('c', '3', '4')
  await rollback()
  await rebuild('4', '3')
  assert.equal((await plan()).to, '2')
  await rollback()
  await rebuild('3', '2')
  assert.deepEqual(await statuses(), { a: 'running', b: 'stopped', c: 'stopped' })
  await install('d', '2', '5')
  assert.deepEqual(await plan(), { from: '5', to: '2', turns_off: ['d'], turns_on: [], blockers: [] })
  await rollback()
  await rebuild('5', '2')
  await rollback()
  await rebuild('2', '1')
  assert.deepEqual(await statuses(), { a: 'stopped', b: 'stopped', c: 'stopped', d: 'stopped' })
  assert.equal((await refusalOf(operator, 'select bloud.rollback()')).code, 'BL021')
})

test('two requests, also at the same time, are one rollback', async () => {
  await install('a', '1', '2')
  const other = await session(database.urlFor('bloud_operator'))
  const ids = await Promise.all([rollback(), value(other, 'select id from bloud.rollback()')])
  await other.end()
  assert.equal(ids[0], ids[1])
  await claim()
  assert.equal(await rollback(), ids[0], 'also while it is active')
  assert.equal(await value(root, "select count(*)::int from bloud.operations where kind = 'rollback'"), 1)
})

test('a rollback and a refresh of the catalog do not exclude each other', async () => {
  await install('a', '1', '2')
  await operator.query('select bloud.refresh_catalog()')
  await rollback()
  const refresh = await value(operator, 'select id from bloud.refresh_catalog()')
  assert.equal(await value(operator, 'select id from bloud.refresh_catalog()'), refresh)
})

const busy = { code: 'BL004', message: 'Other work is on its way' }
const nothing = { code: 'BL021', message: 'There is nothing to roll back to' }

async function isRefused(expected: { code: string; message: string }, detail: RegExp): Promise<void> {
  const { hint, ...refusal } = await refusalOf(operator, 'select bloud.rollback()')
  assert.deepEqual({ code: refusal.code, message: refusal.message }, expected)
  assert.match(refusal.detail ?? '', detail)
  assert.ok(hint)
  const [blocker] = (await plan()).blockers
  assert.deepEqual(blocker, {
    sqlstate: refusal.code,
    message: refusal.message,
    detail: refusal.detail,
    hint,
  })
  assert.equal(await value(root, "select count(*)::int from bloud.operations where kind = 'rollback'"), 0)
}

test('a rollback is refused while other operations are queued or active, or an app is starting', async () => {
  await install('a', '1', '2')
  await operator.query("select bloud.install('b')")
  await isRefused(busy, /^Under way: install b\.$/)
  const id = await claim()
  await isRefused(busy, /install b/)
  await root.query("select bloud.begin_run($1, $2, '2', '{}')", [attempt, id])
  await root.query("select bloud.end_rebuild($1, $2, true, 0, '3')", [attempt, id])
  await isRefused(busy, /install b/)
})

test('a rollback is refused while another session holds an app in an open transaction', async () => {
  await install('a', '1', '2')
  await root.query("begin; select bloud.install('b')")
  const { code, detail } = await refusalOf(operator, 'select bloud.rollback()')
  assert.deepEqual(
    { code, detail },
    { code: 'BL004', detail: 'Another session holds an app in an open transaction.' },
  )
  await root.query('rollback')
  assert.ok(await rollback())
})

test('a rollback in an open transaction makes other verbs wait, and nothing is claimed', async () => {
  await install('a', '1', '2')
  await operator.query('begin; select bloud.rollback()')
  await root.query("set lock_timeout = '200ms'")
  assert.equal((await refusalOf(root, "select bloud.install('c')")).code, '55P03')
  assert.equal(await claim(), undefined)
  await operator.query('commit')
  await root.query("set lock_timeout = 0; select bloud.install('c')")
  await claim()
  assert.deepEqual(await statuses(), { a: 'stopping', c: 'queued' })
})

test('a request committed between the check and the lock of a rollback is noticed', async () => {
  await install('a', '1', '2')
  const source = await value<string>(root, "select pg_get_functiondef('bloud.lock_all_apps'::regproc)")
  await root.query(source.replace(/begin\n/, "begin\n  perform bloud.install('c');\n"))
  assert.equal((await refusalOf(operator, 'select bloud.rollback()')).code, 'BL004')
  assert.deepEqual(await statuses(), { a: 'running' })
})

test('a rollback is refused if there is no older generation', async () => {
  await isRefused(nothing, /not activated a generation yet/)
  await install('a', null, '1')
  await isRefused(nothing, /before generation 1 is not known/)
})

test('a rollback is refused if the agent did not make the older generation', async () => {
  await install('a', '1', '2')
  await install('b', '7', '8')
  await isRefused(nothing, /Generation 7, which was active before, was not made by the agent/)
})

test('a rollback is refused if the apps of the older generation were not recorded', async () => {
  await operator.query("select bloud.install('a')")
  await rebuild('1', '2', false)
  await install('b', '2', '3')
  await isRefused(nothing, /Generation 2/)
})

test('a rollback is refused if the catalog has lost an app of the older generation', async () => {
  await install('a', '1', '2')
  await operator.query("select bloud.uninstall('a', purge => true)")
  await rebuild('2', '3')
  await root.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify(CATALOG.slice(1))])
  await isRefused(nothing, /Generation 2 has a, which the catalog no longer has/)
})

test('a rollback is claimed first and is never combined with other operations', async () => {
  await install('a', '1', '2')
  await rollback()
  await operator.query("select bloud.install('c')")
  await claim()
  assert.deepEqual(await statuses(), { a: 'stopping', c: 'queued' })
  await rebuild('2', '1')
  assert.deepEqual(await statuses(), { a: 'stopped', c: 'queued' })
  await rebuild('1', '3')
  assert.deepEqual(await statuses(), { a: 'stopped', c: 'running' })
})

test('a rollback and all other operations wait while another session holds one of its apps', async () => {
  await install('a', '1', '2')
  await rollback()
  await root.query("select bloud.install('c')")
  await operator.query("begin; select bloud.uninstall('a')")
  assert.equal(await claim(), undefined)
  await operator.query('rollback')
  assert.ok(await claim())
})

test('a failed rollback leaves active apps active, with the cause, and ends all its operations', async () => {
  await install('b', '1', '2')
  await operator.query("select bloud.install('a'); select bloud.uninstall('b')")
  await rebuild('2', '3')
  const id = await rollback()
  await claim()
  await root.query("select bloud.begin_run($1, (select max(id) from bloud.rebuilds), '3')", [attempt])
  const cause = { class: 'activate', message: 'The rollback did not succeed: no space' }
  const next = await root.query(
    `select * from bloud.end_rebuild($1, (select max(id) from bloud.rebuilds), false, 1, '3', '{}', $2,
    true)`,
    [attempt, JSON.stringify(cause)],
  )
  assert.deepEqual(next.rows, [])
  assert.deepEqual(await statuses(), { a: 'error', b: 'failed' })
  const { rows } = await root.query('select name, wanted, cause from bloud.apps order by name')
  assert.deepEqual(rows, [
    { name: 'a', wanted: true, cause: { phase: 'stopping', ...cause } },
    { name: 'b', wanted: false, cause: { phase: 'building', ...cause } },
  ])
  assert.deepEqual((await operation(id)).cause, cause)
  assert.equal((await plan()).to, '2', 'it can be requested again')
})

for (const app of ['a', 'b']) {
  test(`cancel of ${app}, an app of a queued rollback, cancels the whole rollback`, async () => {
    await install('b', '1', '2')
    await operator.query("select bloud.install('a'); select bloud.uninstall('b')")
    await rebuild('2', '3')
    const id = await rollback()
    assert.deepEqual(await statuses(), { a: 'stopping', b: 'queued' })
    assert.equal((await refusalOf(operator, "select bloud.uninstall('b')")).code, 'BL004')
    assert.equal(await value(operator, 'select state from bloud.cancel($1)', [app]), 'cancelled')
    assert.deepEqual(await statuses(), { a: 'error', b: 'stopped' })
    assert.equal((await operation(id)).state, 'cancelled')
    assert.equal(await claim(), undefined)
  })
}

test('a rollback that no worker claims within a day ends as a whole', async () => {
  await install('b', '1', '2')
  await operator.query("select bloud.install('a'); select bloud.uninstall('b')")
  await rebuild('2', '3')
  const id = await rollback()
  await root.query("select set_config('bloud.clock', (now() + interval '25 hours')::text, false)")
  assert.equal(await value(root, 'select bloud.sweep($1)', [attempt]), 1)
  assert.deepEqual(await statuses(), { a: 'error', b: 'stopped' })
  assert.equal((await operation(id)).state, 'failed')
})
