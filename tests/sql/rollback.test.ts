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

const DESIRED = `select coalesce(jsonb_object_agg(d.name, jsonb_build_object('version', d.version, 'port', d.port,
  'integration_config', d.integration_config)), '{}') from bloud.desired_apps d`

async function claim(): Promise<string | undefined> {
  return value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
}

/** Carries what waits through one rebuild, from one generation to another; what starts is then healthy. */
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

test('what the older generation does not have goes off with its data kept, what it has is left alone', async () => {
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
  assert.equal((await moves(root, 'a')).length, 5, 'nothing moved')
  assert.deepEqual((await moves(root, 'b')).slice(-2), ['running→stopping', 'stopping→stopped'])
  assert.deepEqual(Object.keys(await value(root, DESIRED)), ['a'], 'the next install does not bring it back')
})

test('what was turned off since comes on again, as it was configured then', async () => {
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

test('an app in both gets back what filled its slots', async () => {
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

test('rolling back again goes one further back, and never forth', async () => {
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

test('asking twice, also at once, is one rollback', async () => {
  await install('a', '1', '2')
  const other = await session(database.urlFor('bloud_operator'))
  const ids = await Promise.all([rollback(), value(other, 'select id from bloud.rollback()')])
  await other.end()
  assert.equal(ids[0], ids[1])
  await claim()
  assert.equal(await rollback(), ids[0], 'also while it is at work')
  assert.equal(await value(root, "select count(*)::int from bloud.operations where kind = 'rollback'"), 1)
})

test('a rollback and a look at the catalog do not keep each other away', async () => {
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

test('it is refused while other work is queued, at work or starting', async () => {
  await install('a', '1', '2')
  await operator.query("select bloud.install('b')")
  await isRefused(busy, /^Under way: install b\.$/)
  const id = await claim()
  await isRefused(busy, /install b/)
  await root.query("select bloud.begin_run($1, $2, '2', '{}')", [attempt, id])
  await root.query("select bloud.end_rebuild($1, $2, true, 0, '3')", [attempt, id])
  await isRefused(busy, /install b/)
})

test('it is refused while somebody holds an app in an open transaction', async () => {
  await install('a', '1', '2')
  await root.query("begin; select bloud.install('b')")
  const { code, detail } = await refusalOf(operator, 'select bloud.rollback()')
  assert.deepEqual(
    { code, detail },
    { code: 'BL004', detail: 'Somebody holds an app in an open transaction.' },
  )
  await root.query('rollback')
  assert.ok(await rollback())
})

test('while it is asked for in an open transaction, nothing is claimed, as others wait', async () => {
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

test('what somebody asks for between the look and the hold is seen', async () => {
  await install('a', '1', '2')
  const source = await value<string>(root, "select pg_get_functiondef('bloud.hold_everything'::regproc)")
  await root.query(source.replace(/begin\n/, "begin\n  perform bloud.install('c');\n"))
  assert.equal((await refusalOf(operator, 'select bloud.rollback()')).code, 'BL004')
  assert.deepEqual(await statuses(), { a: 'running' })
})

test('it is refused where there is nothing to go back to', async () => {
  await isRefused(nothing, /Nothing was switched on/)
  await install('a', null, '1')
  await isRefused(nothing, /what was on before generation 1/)
})

test('it is refused when somebody else made the older generation', async () => {
  await install('a', '1', '2')
  await install('b', '7', '8')
  await isRefused(nothing, /Generation 7, which was on before, was not made by the agent/)
})

test('it is refused when nobody wrote down what the older generation has', async () => {
  await operator.query("select bloud.install('a')")
  await rebuild('1', '2', false)
  await install('b', '2', '3')
  await isRefused(nothing, /Generation 2/)
})

test('it is refused when the catalog has lost an app of the older generation', async () => {
  await install('a', '1', '2')
  await operator.query("select bloud.uninstall('a', purge => true)")
  await rebuild('2', '3')
  await root.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify(CATALOG.slice(1))])
  await isRefused(nothing, /Generation 2 has a, which the catalog no longer has/)
})

test('nothing else rides with it, and it goes first', async () => {
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

test('it waits, and all others with it, while somebody holds one of its apps', async () => {
  await install('a', '1', '2')
  await rollback()
  await root.query("select bloud.install('c')")
  await operator.query("begin; select bloud.uninstall('a')")
  assert.equal(await claim(), undefined)
  await operator.query('rollback')
  assert.ok(await claim())
})

test('when it fails, what was on is on again and says why; nothing of it goes on alone', async () => {
  await install('b', '1', '2')
  await operator.query("select bloud.install('a'); select bloud.uninstall('b')")
  await rebuild('2', '3')
  const id = await rollback()
  await claim()
  await root.query("select bloud.begin_run($1, (select max(id) from bloud.rebuilds), '3')", [attempt])
  const cause = { class: 'activate', message: 'The rollback did not succeed: no space' }
  const next = await root.query(
    "select * from bloud.end_rebuild($1, (select max(id) from bloud.rebuilds), false, 1, '3', '{}', $2, true)",
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
  assert.equal((await plan()).to, '2', 'it can be asked for again')
})

for (const app of ['a', 'b']) {
  test(`cancelling ${app === 'a' ? 'what goes off' : 'what comes on'} cancels all of it while it is queued`, async () => {
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

test('one that nobody takes for a day ends as a whole', async () => {
  await install('b', '1', '2')
  await operator.query("select bloud.install('a'); select bloud.uninstall('b')")
  await rebuild('2', '3')
  const id = await rollback()
  await root.query("select set_config('bloud.clock', (now() + interval '25 hours')::text, false)")
  assert.equal(await value(root, 'select bloud.sweep($1)', [attempt]), 1)
  assert.deepEqual(await statuses(), { a: 'error', b: 'stopped' })
  assert.equal((await operation(id)).state, 'failed')
})
