/**
 * Tests of rebuilds (one change of the machine for all queued operations), from the claim of the operations
 * to the outcome.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry, rebuildAll, refusalOf, session, value } from '../support/sql.ts'
import { begin, claim, statuses, useDatabase } from './support.ts'

const NAMES = ['a', 'b', 'c', 'd']
const db = useDatabase(
  'rebuilds',
  NAMES.map((name) => entry(name, { timeout: 30 })),
)

test('a claim puts all queued operations into one rebuild', async () => {
  for (const name of NAMES) await db.root.query('select bloud.install($1)', [name])
  const id = await claim(db)
  assert.equal(await value(db.root, 'select count(distinct rebuild_id)::int from bloud.operations'), 1)
  assert.equal(await claim(db), id, 'a second claim returns the active rebuild')
  assert.equal(await value(db.root, 'select count(*)::int from bloud.rebuilds'), 1)
})

test('an app held by an open transaction stays queued, and the other apps are claimed', async () => {
  await db.root.query("select bloud.install('a')")
  await db.root.query("select bloud.install('b')")
  const holder = await session(db.database.url)
  await holder.query("begin; select bloud.install('a')")
  await claim(db)
  assert.deepEqual(await statuses(db), { a: 'queued', b: 'configuring' })
  await holder.query('rollback')
  await holder.end()
})

test('a worker that lost the lease can write nothing', async () => {
  await db.root.query("select bloud.install('a')")
  const id = (await claim(db)) as string
  assert.equal(
    await value(db.root, "select bloud.acquire_lease('other', 60)"),
    null,
    'while another worker holds the lease',
  )
  await db.root.query("update bloud.lease set lease_until = now() - interval '1 second'")
  assert.equal(await value(db.root, "select bloud.acquire_lease('other', 60)"), String(db.attempt + 1))
  const writes: [string, unknown[]][] = [
    ['select bloud.renew_lease($1, 60)', [db.attempt]],
    ['select bloud.claim_rebuild($1, 60)', [db.attempt]],
    ['select bloud.begin_run($1, $2, null)', [db.attempt, id]],
    ["select bloud.append_log($1, $2, 0, 1, array['x'])", [db.attempt, id]],
    ['select bloud.end_rebuild($1, $2, true, 0, null)', [db.attempt, id]],
    ["select bloud.report_health($1, 'a', true)", [db.attempt]],
    ['select bloud.sweep($1)', [db.attempt]],
    ["select bloud.sync_catalog($1, '[]')", [db.attempt]],
  ]
  for (const [text, values] of writes) {
    const refusal = await refusalOf(db.root, text, values)
    assert.equal(refusal.code, 'BL016', text)
    assert.ok(refusal.hint)
  }
  assert.deepEqual(await statuses(db), { a: 'configuring' })
  assert.equal(
    await value(db.root, 'select attempt from bloud.rebuilds'),
    String(db.attempt + 1),
    'the rebuild belongs to the next lease holder',
  )
})

test('an app whose uninstall fails is still active and has the status error', async () => {
  await db.root.query("select bloud.install('a')")
  const first = (await claim(db)) as string
  await begin(db, first)
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [db.attempt, first])
  await db.root.query("select bloud.report_health($1, 'a', true)", [db.attempt])
  await db.root.query("select bloud.uninstall('a')")
  const second = (await claim(db)) as string
  await begin(db, second)
  const cause = JSON.stringify({ class: 'build', message: 'no disk' })
  await db.root.query("select bloud.end_rebuild($1, $2, false, 1, '2', '{}', $3)", [
    db.attempt,
    second,
    cause,
  ])
  assert.deepEqual(await statuses(db), { a: 'error' })
  assert.equal(await value(db.root, "select wanted from bloud.apps where name = 'a'"), true)
  assert.equal(await value(db.root, "select kind from bloud.retry('a')"), 'uninstall')
})

test('a batch of log lines that is sent twice is stored once', async () => {
  await db.root.query("select bloud.install('a')")
  const id = (await claim(db)) as string
  await begin(db, id)
  const append = (from: number, to: number, lines: string[]): Promise<boolean> =>
    value(db.root, 'select bloud.append_log($1, $2, $3, $4, $5)', [db.attempt, id, from, to, lines])
  assert.equal(await append(0, 10, ['one', 'two']), true)
  assert.equal(await append(0, 10, ['one', 'two']), false)
  assert.equal(await append(10, 15, ['three']), true)
  const { rows } = await db.root.query('select line_no::int, line from bloud.operation_log(1, 0, 100)')
  assert.deepEqual(
    rows.map((row) => `${row.line_no} ${row.line}`),
    ['1 one', '2 two', '3 three'],
  )
})

test('a wait past its deadline ends with the cause timeout', async () => {
  await db.root.query("select bloud.install('a')")
  const id = (await claim(db)) as string
  await begin(db, id)
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [db.attempt, id])
  await db.root.query("select bloud.install('b')")
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 0)
  await db.root.query("select set_config('bloud.clock', (now() + interval '40 seconds')::text, false)")
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 1)
  assert.deepEqual(await statuses(db), { a: 'error', b: 'queued' })
  await db.root.query("select set_config('bloud.clock', (now() + interval '25 hours')::text, false)")
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 1)
  assert.deepEqual(await statuses(db), { a: 'error', b: 'failed' })
  const { rows } = await db.root.query("select cause ->> 'class' as class from bloud.apps order by name")
  assert.deepEqual(rows, [{ class: 'timeout' }, { class: 'timeout' }])
})

test('a queued app whose catalog file is deleted keeps its catalog entry', async () => {
  await db.root.query("select bloud.install('a')")
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify([entry('b')])])
  const { rows } = await db.root.query('select name, unavailable is null as available from bloud.catalog')
  assert.deepEqual(rows, [
    { name: 'a', available: false },
    { name: 'b', available: true },
  ])
})

const READER = entry('reader', {
  integrations: { store: { required: true, compatible: [{ app: 'a', default: true }] } },
})

test('an app waits for its dependency while another session holds the dependency', async () => {
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify([entry('a'), READER])])
  await db.root.query("select bloud.install('reader')")
  const holder = await session(db.database.url)
  await holder.query("begin; select bloud.install('a')")
  assert.equal(await claim(db), undefined)
  assert.deepEqual(await statuses(db), { a: 'queued', reader: 'queued' })
  await holder.query('rollback')
  await holder.end()
  assert.ok(await claim(db))
  assert.deepEqual(await statuses(db), { a: 'configuring', reader: 'configuring' })
})

test('an app whose dependency was cancelled fails before it is built', async () => {
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify([entry('a'), READER])])
  await db.root.query("select bloud.install('reader')")
  await db.root.query("select bloud.cancel('a')")
  assert.equal(await claim(db), undefined)
  assert.deepEqual(await statuses(db), { a: 'failed', reader: 'failed' })
  const cause = await value<{ class: string; message: string }>(
    db.root,
    "select cause from bloud.apps where name = 'reader'",
  )
  assert.deepEqual([cause.class, cause.message], ['preflight', 'It needs a, which is not installed any more'])
  await db.root.query("select bloud.retry('reader')")
  assert.deepEqual(await statuses(db), { a: 'queued', reader: 'queued' }, 'a retry queues the dependency too')
})

async function failAll(): Promise<void> {
  const id = (await claim(db)) as string
  await begin(db, id)
  const cause = JSON.stringify({ class: 'build', message: 'no disk', hint: 'Retry.' })
  await db.root.query("select bloud.end_rebuild($1, $2, false, 1, '2', '{}', $3)", [db.attempt, id, cause])
}

test('a failed app is stopped when its uninstall fails too', async () => {
  await db.root.query("select bloud.install('a')")
  await failAll()
  await db.root.query("select bloud.uninstall('a')")
  await failAll()
  assert.deepEqual(await statuses(db), { a: 'stopped' })
  assert.equal(await value(db.root, 'select count(*)::int from bloud.desired_apps'), 0)
  assert.equal(await value(db.root, "select cause ->> 'message' from bloud.apps"), 'no disk')
})

test('an active app that is queued again stays active when its uninstall fails', async () => {
  await db.root.query("select bloud.install('a')")
  await rebuildAll(db.root, db.attempt)
  await db.root.query("select bloud.report_health($1, 'a', false, '{}')", [db.attempt])
  await db.root.query("select bloud.retry('a')")
  await db.root.query("select bloud.uninstall('a')")
  await failAll()
  assert.deepEqual(await statuses(db), { a: 'error' })
  assert.equal(await value(db.root, 'select count(*)::int from bloud.desired_apps'), 1)
})

test('a stopped app that never ran is stopped again when its install is cancelled', async () => {
  await db.root.query("select bloud.install('a')")
  await failAll()
  await db.root.query("select bloud.uninstall('a')")
  await rebuildAll(db.root, db.attempt)
  assert.deepEqual(await statuses(db), { a: 'stopped' })
  await db.root.query("select bloud.install('a')")
  await db.root.query("select bloud.cancel('a')")
  assert.deepEqual(await statuses(db), { a: 'stopped' })
})

test('report_health() skips an app that another session holds, and does not wait', async () => {
  await db.root.query("select bloud.install('a')")
  await rebuildAll(db.root, db.attempt)
  const holder = await session(db.database.url)
  await holder.query("begin; select bloud.rename('a', 'Ann')")
  await db.root.query("set lock_timeout = '2s'")
  const reportUnhealthy = (): Promise<string> =>
    value(db.root, "select bloud.report_health($1, 'a', false)", [db.attempt])
  assert.equal(await reportUnhealthy(), 'running')
  await holder.query('commit')
  assert.equal(await reportUnhealthy(), 'error')
  await holder.end()
})

test('a sweep reads an app again after locking it', async () => {
  await db.root.query("select bloud.install('a')")
  await db.root.query("update bloud.apps set deadline = now() - interval '1 minute'")
  const source = await value<string>(db.root, "select pg_get_functiondef('bloud.sweep'::regproc)")
  // Inserts a cancel and a retry between the read and the lock of the app in sweep(), as another session
  // could run them.
  const concurrent = `perform bloud.cancel(v_row.name); perform bloud.retry(v_row.name);
    continue when not bloud.try_lock_app(v_row`
  await db.root.query(source.replace('continue when not bloud.try_lock_app(v_row', concurrent))
  assert.equal(await value(db.root, 'select bloud.sweep($1)', [db.attempt]), 0)
  assert.deepEqual(await statuses(db), { a: 'queued' })
})

test('an app installed in an open transaction keeps its entry when its catalog file is deleted', async () => {
  const holder = await session(db.database.url)
  await holder.query("begin; select bloud.install('a')")
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify([entry('b')])])
  await holder.query('commit')
  await holder.end()
  await rebuildAll(db.root, db.attempt)
  assert.deepEqual(await statuses(db), { a: 'running' })
})
