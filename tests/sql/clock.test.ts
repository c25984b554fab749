/**
 * Tests of a database clock that was ahead and was set right: what was stored with a wrong time delays work
 * by its own period at most.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry, rebuildAll, value } from '../support/sql.ts'
import { begin, claim, statuses, useDatabase } from './support.ts'

const db = useDatabase('clock', [entry('flow', { timeout: 60 }), entry('other')])

/** Sets the clock of the session to a time `ahead` of the present time, or to the right time for `0`. */
const setClock = (ahead: string) =>
  db.root.query(
    "select set_config('bloud.clock', case $1 when '0' then '' else (now() + $1::interval)::text end, false)",
    [ahead],
  )

const secondsLeft = (what: string, where: string): Promise<number> =>
  value(
    db.root,
    `select extract(epoch from deadline - bloud.clock())::float8 from bloud.${what} where ${where}`,
  )

async function sweep(): Promise<void> {
  await db.root.query('select bloud.sweep($1)', [db.attempt])
}

test('a lease that ends later than any worker may ask for is taken by the next worker', async () => {
  await setClock('1 hour')
  assert.ok(await value(db.root, "select bloud.acquire_lease('dead', 10)"))
  await setClock('0')
  assert.ok(
    await value(db.root, "select bloud.acquire_lease('next', 10)"),
    'the lease of the dead is believed',
  )
  assert.equal(await value(db.root, "select bloud.acquire_lease('third', 10)"), null)
})

test('a lease lasts a minute at most, whatever the worker asks for', async () => {
  const left = 'select extract(epoch from lease_until - bloud.clock())::float8 from bloud.lease'
  const attempt = await value(db.root, "select bloud.acquire_lease('test', 86400)")
  assert.ok((await value<number>(db.root, left)) <= 60)
  await db.root.query('select bloud.renew_lease($1, 86400)', [attempt])
  assert.ok((await value<number>(db.root, left)) <= 60)
})

test('why() names the missing worker when the lease ends too far in the future', async () => {
  await setClock('1 hour')
  await db.root.query("select bloud.acquire_lease('dead', 10)")
  await setClock('0')
  await db.root.query("select bloud.install('flow')")
  const { rows } = await db.root.query("select answer from bloud.why('flow') where question = 'no worker'")
  assert.equal(rows.length, 1)
})

test('a rebuild that began in the future gets its time limit anew, and so do its apps', async () => {
  await setClock('1 hour')
  await db.root.query("select bloud.install('flow')")
  await db.root.query('select bloud.claim_rebuild($1, 600)', [db.attempt])
  await setClock('0')
  assert.ok((await secondsLeft('rebuilds', "state = 'active'")) > 4000, 'the deadline is an hour late')
  await sweep()
  for (const [table, where] of [
    ['rebuilds', "state = 'active'"],
    ['apps', "name = 'flow'"],
  ] as const) {
    const left = await secondsLeft(table, where)
    assert.ok(left > 500 && left <= 600, `${table}: ${left} s`)
  }
})

test('a rebuild that the next worker claims has its time limit corrected at once', async () => {
  await setClock('1 hour')
  await db.root.query("select bloud.install('flow')")
  await db.root.query('select bloud.claim_rebuild($1, 600)', [db.attempt])
  await setClock('0')
  await db.root.query('select bloud.claim_rebuild($1, 600)', [db.attempt])
  assert.ok((await secondsLeft('rebuilds', "state = 'active'")) <= 600)
})

test('a queued request, an uninstall and a start wait for their own period at most', async () => {
  await setClock('30 days')
  await db.root.query("select bloud.install('flow')")
  await setClock('0')
  await sweep()
  assert.ok((await secondsLeft('apps', "name = 'flow'")) <= 86_400)

  const id = await claim(db)
  await begin(db, id ?? '')
  await setClock('1 hour')
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [db.attempt, id])
  await setClock('0')
  assert.deepEqual(await statuses(db), { flow: 'starting' })
  await sweep()
  assert.ok((await secondsLeft('apps', "name = 'flow'")) <= 60)

  await db.root.query("select bloud.report_health($1, 'flow', true)", [db.attempt])
  await setClock('1 hour')
  await db.root.query("select bloud.uninstall('flow')")
  await setClock('0')
  await sweep()
  assert.ok((await secondsLeft('apps', "name = 'flow'")) <= 86_400)
  assert.deepEqual((await db.root.query('select * from bloud.check_invariants()')).rows, [])
})

test('a clock that was behind and is set right moves the deadlines with it', async () => {
  await setClock('-2 days')
  await db.root.query("select bloud.install('flow')")
  await db.root.query('select bloud.claim_rebuild($1, 600)', [db.attempt])
  await db.root.query("select bloud.install('other')")
  await setClock('0')
  await db.root.query("select bloud.sweep($1, now() - interval '2 days')", [db.attempt])
  assert.deepEqual(await statuses(db), { flow: 'configuring', other: 'queued' }, 'swept after a jump')
  for (let times = 0; times < 2; times++) {
    await db.root.query("select bloud.move_deadlines($1, '2 days')", [db.attempt])
    await sweep()
    for (const [table, where, period] of [
      ['rebuilds', "state = 'active'", 600],
      ['apps', "name = 'flow'", 600],
      ['apps', "name = 'other'", 86_400],
    ] as const) {
      const left = await secondsLeft(table, where)
      assert.ok(left > period - 100 && left <= period, `${table} ${where}: ${left} s`)
    }
  }
  assert.deepEqual(await statuses(db), { flow: 'configuring', other: 'queued' })
  const period =
    "select extract(epoch from deadline - started_at)::int from bloud.rebuilds where state = 'active'"
  assert.equal(await value(db.root, period), 600, 'a rebuild that follows gets the same period')
  await assert.rejects(db.root.query("select bloud.move_deadlines(-1, '1 day')"), { code: 'BL016' })
})

test('the queue keeps the order of the requests, and no duration is negative', async () => {
  await setClock('1 hour')
  await db.root.query("select bloud.install('flow')")
  await setClock('0')
  await db.root.query("select bloud.install('other')")
  const { rows } = await db.root.query('select app from bloud.queue order by position')
  assert.deepEqual(rows, [{ app: 'flow' }, { app: 'other' }])
  await rebuildAll(db.root, db.attempt)
  const negative = `select
    (select count(*) from bloud.events where lasted < '0') + (select count(*) from bloud.history where duration < '0')
    + (select count(*) from bloud.app_status where elapsed < '0') + (select count(*) from bloud.queue where waiting < '0')`
  assert.equal(Number(await value(db.root, negative)), 0)
})

test('events and log lines with a time in the future are pruned with the events after them', async () => {
  await setClock('10 years')
  await db.root.query("select bloud.install('flow')")
  const id = await claim(db)
  await begin(db, id ?? '')
  await db.root.query("select bloud.append_log($1, $2, 0, 9, '{one}')", [db.attempt, id])
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [db.attempt, id])
  await db.root.query("select bloud.report_health($1, 'flow', true)", [db.attempt])
  await setClock('-200 days')
  for (const app of ['flow', 'other']) {
    await db.root.query(`select bloud.${app === 'flow' ? 'uninstall' : 'install'}($1)`, [app])
    await rebuildAll(db.root, db.attempt)
  }
  await setClock('0')
  await db.root.query("select bloud.prune($1, '90 days', 0, 1000)", [db.attempt])
  assert.equal(Number(await value(db.root, 'select count(*) from bloud.events where at > now()')), 0)
  assert.equal(Number(await value(db.root, 'select count(*) from bloud.rebuild_log')), 0)
})
