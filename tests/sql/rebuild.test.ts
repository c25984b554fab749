import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, moves, rebuildAll, refusalOf, session, value } from '../support/sql.ts'

const NAMES = ['a', 'b', 'c', 'd']
let database: TestDatabase
let client: pg.Client
let attempt: number

beforeEach(async () => {
  await close()
  database = await testDatabase('rebuilds')
  client = await session(database.url)
  attempt = await lead(
    client,
    NAMES.map((name) => entry(name, { timeout: 30 })),
  )
})
after(close)

async function close(): Promise<void> {
  await client?.end()
  await database?.drop()
}

const claim = (): Promise<string | undefined> =>
  value(client, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
const statuses = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await client.query('select name, status from bloud.apps')).rows.map((r) => [r.name, r.status]),
  )
const begin = (id: string): Promise<number> =>
  value(client, "select bloud.begin_run($1, $2, '1')", [attempt, id])

test('all queued operations become one rebuild', async () => {
  for (const name of NAMES) await client.query('select bloud.install($1)', [name])
  const id = await claim()
  assert.equal(await value(client, 'select count(distinct rebuild_id)::int from bloud.operations'), 1)
  assert.equal(await claim(), id, 'a second claim returns the active rebuild')
  assert.equal(await value(client, 'select count(*)::int from bloud.rebuilds'), 1)
})

test('an app held by an open transaction stays queued, the others are claimed', async () => {
  await client.query("select bloud.install('a')")
  await client.query("select bloud.install('b')")
  const holder = await session(database.url)
  await holder.query("begin; select bloud.install('a')")
  await claim()
  assert.deepEqual(await statuses(), { a: 'queued', b: 'configuring' })
  await holder.query('rollback')
  await holder.end()
})

test('a worker that lost the lease can write nothing', async () => {
  await client.query("select bloud.install('a')")
  const id = (await claim()) as string
  assert.equal(
    await value(client, "select bloud.acquire_lease('other', 60)"),
    null,
    'while another worker holds the lease',
  )
  await client.query("update bloud.lease set lease_until = now() - interval '1 second'")
  assert.equal(await value(client, "select bloud.acquire_lease('other', 60)"), String(attempt + 1))
  const writes: [string, unknown[]][] = [
    ['select bloud.renew_lease($1, 60)', [attempt]],
    ['select bloud.claim_rebuild($1, 60)', [attempt]],
    ['select bloud.begin_run($1, $2, null)', [attempt, id]],
    ["select bloud.append_log($1, $2, 0, 1, array['x'])", [attempt, id]],
    ['select bloud.end_rebuild($1, $2, true, 0, null)', [attempt, id]],
    ["select bloud.report_health($1, 'a', true)", [attempt]],
    ['select bloud.sweep($1)', [attempt]],
    ["select bloud.sync_catalog($1, '[]')", [attempt]],
  ]
  for (const [text, values] of writes) {
    const refusal = await refusalOf(client, text, values)
    assert.equal(refusal.code, 'BL016', text)
    assert.ok(refusal.hint)
  }
  assert.deepEqual(await statuses(), { a: 'configuring' })
  assert.equal(
    await value(client, 'select attempt from bloud.rebuilds'),
    String(attempt + 1),
    'the rebuild belongs to the next lease holder',
  )
})

test('the failed app of a rebuild fails alone, the others go on in the next rebuild', async () => {
  for (const name of ['a', 'b', 'c']) await client.query('select bloud.install($1)', [name])
  const first = (await claim()) as string
  await begin(first)
  const failures = { b: { class: 'build', message: 'does not build', exit_code: 1 } }
  const next = await value<string>(client, "select id from bloud.end_rebuild($1, $2, false, 1, '1', $3)", [
    attempt,
    first,
    JSON.stringify(failures),
  ])
  assert.deepEqual(await statuses(), { a: 'building', b: 'failed', c: 'building' })
  assert.deepEqual(await value(client, "select cause from bloud.apps where name = 'b'"), {
    phase: 'building',
    ...failures.b,
  })
  const { rows } = await client.query('select name from bloud.desired_apps')
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['a', 'c'],
    'the failed app is not in the next rebuild',
  )
  assert.equal(await claim(), next)
  await begin(next)
  await client.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, next])
  assert.deepEqual(await statuses(), { a: 'starting', b: 'failed', c: 'starting' })
  assert.deepEqual(await moves(client, 'b'), [
    '→queued',
    'queued→configuring',
    'configuring→building',
    'building→failed',
  ])
})

/** Ends every rebuild; one with `bad` fails and names no app. Returns the apps of each rebuild. */
async function endAll(bad: string): Promise<string[][]> {
  const rebuilds: string[][] = []
  for (let id = await claim(); id !== undefined; id = await claim()) {
    const { rows } = await client.query(
      "select app from bloud.operations where rebuild_id = $1 and state = 'active' order by app",
      [id],
    )
    const included = rows.map(({ app }) => app as string)
    rebuilds.push(included)
    await begin(id)
    const { rows: desired } = await client.query('select name from bloud.desired_apps where status = $1', [
      'building',
    ])
    assert.deepEqual(desired.map(({ name }) => name).sort(), included, 'waiting operations are not built')
    const cause = JSON.stringify({ class: 'evaluate', message: 'it does not evaluate' })
    await client.query("select bloud.end_rebuild($1, $2, $3, 1, '2', '{}', $4, true)", [
      attempt,
      id,
      !included.includes(bad),
      cause,
    ])
  }
  return rebuilds
}

test('if the cause names no app, halves are rebuilt until the failed app is alone', async () => {
  for (const name of NAMES) await client.query('select bloud.install($1)', [name])
  const rebuilds = await endAll('c')
  assert.deepEqual(rebuilds, [['a', 'b', 'c', 'd'], ['a', 'b'], ['c', 'd'], ['c'], ['d']])
  assert.deepEqual(await statuses(), { a: 'starting', b: 'starting', c: 'failed', d: 'starting' })
  assert.deepEqual(await moves(client, 'd'), [
    '→queued',
    'queued→configuring',
    'configuring→building',
    'building→starting',
  ])
  const { rows } = await client.query('select * from bloud.check_invariants()')
  assert.deepEqual(rows, [])
})

test('halves keep dependencies: no app is built before one that it requires', async () => {
  const needsDb = { integrations: { db: { required: true, compatible: [{ app: 'db', default: true }] } } }
  const entries = [entry('db'), entry('reader', needsDb), entry('other')]
  await client.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify(entries)])
  await client.query("select bloud.install('db')")
  await rebuildAll(client, attempt)
  const cause = { class: 'health', message: 'sick' }
  await client.query("select bloud.report_health($1, 'db', false, $2)", [attempt, JSON.stringify(cause)])
  await client.query("select bloud.install('reader')") // requested first …
  await client.query("select bloud.install('other')")
  await client.query("select bloud.retry('db')") // … although it requires db
  const rebuilds = await endAll('other')
  assert.deepEqual(rebuilds[0], ['db', 'other', 'reader'])
  const at = (app: string): number => rebuilds.findIndex((apps, n) => n > 0 && apps.includes(app))
  assert.ok(at('db') <= at('reader'), JSON.stringify(rebuilds))
  assert.deepEqual(await statuses(), { db: 'starting', other: 'failed', reader: 'starting' })
})

test('an uninstall whose rebuild fails leaves the app active, as error', async () => {
  await client.query("select bloud.install('a')")
  const first = (await claim()) as string
  await begin(first)
  await client.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, first])
  await client.query("select bloud.report_health($1, 'a', true)", [attempt])
  await client.query("select bloud.uninstall('a')")
  const second = (await claim()) as string
  await begin(second)
  const cause = JSON.stringify({ class: 'build', message: 'no disk' })
  await client.query("select bloud.end_rebuild($1, $2, false, 1, '2', '{}', $3)", [attempt, second, cause])
  assert.deepEqual(await statuses(), { a: 'error' })
  assert.equal(await value(client, "select wanted from bloud.apps where name = 'a'"), true)
  assert.equal(await value(client, "select kind from bloud.retry('a')"), 'uninstall')
})

test('a batch of log lines is stored once, also when it is sent twice', async () => {
  await client.query("select bloud.install('a')")
  const id = (await claim()) as string
  await begin(id)
  const append = (from: number, to: number, lines: string[]): Promise<boolean> =>
    value(client, 'select bloud.append_log($1, $2, $3, $4, $5)', [attempt, id, from, to, lines])
  assert.equal(await append(0, 10, ['one', 'two']), true)
  assert.equal(await append(0, 10, ['one', 'two']), false)
  assert.equal(await append(10, 15, ['three']), true)
  const { rows } = await client.query('select line_no::int, line from bloud.operation_log(1, 0, 100)')
  assert.deepEqual(
    rows.map((row) => `${row.line_no} ${row.line}`),
    ['1 one', '2 two', '3 three'],
  )
})

test('a wait past its deadline ends with the cause timeout', async () => {
  await client.query("select bloud.install('a')")
  const id = (await claim()) as string
  await begin(id)
  await client.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, id])
  await client.query("select bloud.install('b')")
  assert.equal(await value(client, 'select bloud.sweep($1)', [attempt]), 0)
  await client.query("select set_config('bloud.clock', (now() + interval '40 seconds')::text, false)")
  assert.equal(await value(client, 'select bloud.sweep($1)', [attempt]), 1)
  assert.deepEqual(await statuses(), { a: 'error', b: 'queued' })
  await client.query("select set_config('bloud.clock', (now() + interval '25 hours')::text, false)")
  assert.equal(await value(client, 'select bloud.sweep($1)', [attempt]), 1)
  assert.deepEqual(await statuses(), { a: 'error', b: 'failed' })
  const { rows } = await client.query("select cause ->> 'class' as class from bloud.apps order by name")
  assert.deepEqual(rows, [{ class: 'timeout' }, { class: 'timeout' }])
})

test('an installed app whose catalog file was deleted keeps its entry and stays wanted', async () => {
  await client.query("select bloud.install('a')")
  await client.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify([entry('b')])])
  const { rows } = await client.query('select name, unavailable is null as available from bloud.catalog')
  assert.deepEqual(rows, [
    { name: 'a', available: false },
    { name: 'b', available: true },
  ])
})

const READER = entry('reader', {
  integrations: { store: { required: true, compatible: [{ app: 'a', default: true }] } },
})

test('an app waits for its dependency while another session holds the dependency', async () => {
  await client.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify([entry('a'), READER])])
  await client.query("select bloud.install('reader')")
  const holder = await session(database.url)
  await holder.query("begin; select bloud.install('a')")
  assert.equal(await claim(), undefined)
  assert.deepEqual(await statuses(), { a: 'queued', reader: 'queued' })
  await holder.query('rollback')
  await holder.end()
  assert.ok(await claim())
  assert.deepEqual(await statuses(), { a: 'configuring', reader: 'configuring' })
})

test('an app whose dependency was cancelled is not built without it', async () => {
  await client.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify([entry('a'), READER])])
  await client.query("select bloud.install('reader')")
  await client.query("select bloud.cancel('a')")
  assert.equal(await claim(), undefined)
  assert.deepEqual(await statuses(), { a: 'failed', reader: 'failed' })
  const cause = await value<{ class: string; message: string }>(
    client,
    "select cause from bloud.apps where name = 'reader'",
  )
  assert.deepEqual([cause.class, cause.message], ['preflight', 'It needs a, which is not installed any more'])
  await client.query("select bloud.retry('reader')")
  assert.deepEqual(await statuses(), { a: 'queued', reader: 'queued' }, 'a retry queues the dependency too')
})

/** Claims the queued operations and ends their rebuild as failed, with a cause that names no app. */
async function failAll(): Promise<void> {
  const id = (await claim()) as string
  await begin(id)
  const cause = JSON.stringify({ class: 'build', message: 'no disk', hint: 'Retry.' })
  await client.query("select bloud.end_rebuild($1, $2, false, 1, '2', '{}', $3)", [attempt, id, cause])
}

test('a failed app is not activated when its uninstall fails too', async () => {
  await client.query("select bloud.install('a')")
  await failAll()
  await client.query("select bloud.uninstall('a')")
  await failAll()
  assert.deepEqual(await statuses(), { a: 'stopped' })
  assert.equal(await value(client, 'select count(*)::int from bloud.desired_apps'), 0)
  assert.equal(await value(client, "select cause ->> 'message' from bloud.apps"), 'no disk')
})

test('an active app that is queued again stays active when its uninstall fails', async () => {
  await client.query("select bloud.install('a')")
  await rebuildAll(client, attempt)
  await client.query("select bloud.report_health($1, 'a', false, '{}')", [attempt])
  await client.query("select bloud.retry('a')")
  await client.query("select bloud.uninstall('a')")
  await failAll()
  assert.deepEqual(await statuses(), { a: 'error' })
  assert.equal(await value(client, 'select count(*)::int from bloud.desired_apps'), 1)
})

test('a stopped app is stopped again when its install is cancelled, also if it never ran', async () => {
  await client.query("select bloud.install('a')")
  await failAll()
  await client.query("select bloud.uninstall('a')")
  await rebuildAll(client, attempt)
  assert.deepEqual(await statuses(), { a: 'stopped' })
  await client.query("select bloud.install('a')")
  await client.query("select bloud.cancel('a')")
  assert.deepEqual(await statuses(), { a: 'stopped' })
})

test('report_health() skips an app that another session holds, and does not wait', async () => {
  await client.query("select bloud.install('a')")
  await rebuildAll(client, attempt)
  const holder = await session(database.url)
  await holder.query("begin; select bloud.rename('a', 'Ann')")
  await client.query("set lock_timeout = '2s'")
  const reportUnhealthy = (): Promise<string> =>
    value(client, "select bloud.report_health($1, 'a', false)", [attempt])
  assert.equal(await reportUnhealthy(), 'running')
  await holder.query('commit')
  assert.equal(await reportUnhealthy(), 'error')
  await holder.end()
})

test('a sweep reads an app again after locking it', async () => {
  await client.query("select bloud.install('a')")
  await client.query("update bloud.apps set deadline = now() - interval '1 minute'")
  const source = await value<string>(client, "select pg_get_functiondef('bloud.sweep'::regproc)")
  // Simulates another session that requests the app again between the query of the sweep and its lock.
  const concurrent = `perform bloud.cancel(v_row.name); perform bloud.retry(v_row.name);
    continue when not pg_try_advisory`
  await client.query(source.replace('continue when not pg_try_advisory', concurrent))
  assert.equal(await value(client, 'select bloud.sweep($1)', [attempt]), 0)
  assert.deepEqual(await statuses(), { a: 'queued' })
})

test('an app installed in an open transaction keeps its entry when its catalog file is deleted', async () => {
  const holder = await session(database.url)
  await holder.query("begin; select bloud.install('a')")
  await client.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify([entry('b')])])
  await holder.query('commit')
  await holder.end()
  await rebuildAll(client, attempt)
  assert.deepEqual(await statuses(), { a: 'running' })
})
