/** Tests that prune() deletes old operations and rebuilds, but none that the agent still needs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transitionsOf, value } from '../support/sql.ts'
import { begin, claim, install, plan, rebuild, rollback, useGenerations } from './support.ts'

const db = useGenerations('prune_operations')

interface Pruned {
  pruned: number
  next_seq: string | null
}

async function prune(keep: number, batch: number, after: string | null): Promise<Pruned> {
  const { rows } = await db.root.query(
    "select pruned, next_seq from bloud.prune($1, interval '90 days', $2, $3, $4)",
    [db.attempt, keep, batch, after],
  )
  return rows[0]
}

/** Prunes until nothing is left to prune, and calls `check` after each batch. */
async function pruneAll(keep: number, batch: number, check: () => Promise<void> = isConsistent) {
  for (let after: string | null = '0'; ; ) {
    const { pruned, next_seq } = await prune(keep, batch, after)
    await check()
    if (pruned === 0 && next_seq === null) return
    assert.ok(next_seq === null || Number(next_seq) > Number(after), 'the cursor goes forward')
    after = next_seq
  }
}

const isConsistent = async () =>
  assert.deepEqual((await db.root.query('select * from bloud.check_invariants()')).rows, [])

/** Makes the whole history 200 days older. */
async function age(): Promise<void> {
  await db.root.query(`set session_replication_role = replica;
    update bloud.events set at = at - interval '200 days', updated_at = updated_at - interval '200 days';
    update bloud.rebuilds set started_at = started_at - interval '200 days',
      finished_at = finished_at - interval '200 days';
    update bloud.operations set requested_at = requested_at - interval '200 days',
      started_at = started_at - interval '200 days', finished_at = finished_at - interval '200 days';
    set session_replication_role = origin`)
}

const count = (table: string): Promise<number> => value(db.root, `select count(*)::int from bloud.${table}`)

async function installAndUninstall(app: string, generation: number): Promise<void> {
  await install(db, app, `${generation}`, `${generation + 1}`)
  await db.operator.query('select bloud.uninstall($1)', [app])
  await rebuild(db, `${generation + 1}`, `${generation + 2}`)
}

async function failToInstall(app: string, generation: string): Promise<void> {
  await db.operator.query('select bloud.install($1)', [app])
  const id = (await claim(db)) as string
  await begin(db, id)
  const failures = { [app]: { class: 'build', message: 'no' } }
  await db.root.query('select bloud.end_rebuild($1, $2, false, 1, $3, $4)', [
    db.attempt,
    id,
    generation,
    JSON.stringify(failures),
  ])
}

test('the last operations of each app stay, with their rebuilds, and older ones are deleted', async () => {
  for (let n = 0; n < 7; n++) await installAndUninstall('a', 2 * n + 1)
  await install(db, 'b', '15', '16')
  await age()
  await installAndUninstall('c', 16)
  await pruneAll(10, 3)
  const { rows } = await db.root.query(
    'select app, count(*)::int as operations from bloud.operations group by app order by app',
  )
  assert.deepEqual(rows, [
    { app: 'a', operations: 10 },
    { app: 'b', operations: 1 },
    { app: 'c', operations: 2 },
  ])
  const kept = await value(
    db.root,
    'select min(id) = (select min(id) from bloud.operations) from bloud.operations where app = $1',
    ['a'],
  )
  assert.equal(kept, true)
  assert.equal(await value(db.root, "select min(id)::int from bloud.operations where app = 'a'"), 5)
})

test('an operation stays while an app, or an operation that it has caused, refers to it', async () => {
  await install(db, 'reader', '1', '2')
  await age()
  await pruneAll(0, 1)
  const { rows } = await db.root.query(
    'select app, requested_for is not null as caused from bloud.operations order by app',
  )
  assert.deepEqual(rows, [
    { app: 'a', caused: true },
    { app: 'reader', caused: false },
  ])
})

test('the changes between running and error of a kept operation are pruned by age', async () => {
  await install(db, 'a', '1', '2')
  for (const healthy of [false, true, false, true])
    await db.root.query("select bloud.report_health($1, 'a', $2)", [db.attempt, healthy])
  await age()
  await pruneAll(10, 2)
  assert.deepEqual(await transitionsOf(db.root, 'a'), [
    '→queued',
    'queued→configuring',
    'configuring→building',
    'building→starting',
    'starting→running',
    'error→running',
  ])
})

test('a call without a cursor reads no events, and the cursor ends where the events are recent', async () => {
  await installAndUninstall('a', 1)
  await age()
  await installAndUninstall('b', 3)
  const events = await count('events')
  assert.deepEqual(await prune(0, 100, null).then(({ next_seq }) => next_seq), null)
  assert.equal(await count('events'), events)
  const { next_seq } = await prune(0, 5, '0')
  assert.equal(Number(next_seq), 5)
  await pruneAll(0, 5)
  assert.equal(Number((await prune(0, 5, '7')).next_seq), 0, 'all of the batch after event 7 is recent')
})

test('a rollback is planned as before after all that is old was pruned', async () => {
  await installAndUninstall('a', 1)
  await install(db, 'b', '3', '4')
  await db.operator.query("select bloud.uninstall('b')")
  await rebuild(db, '4', '5')
  // Each rollback makes generation 5 active again, which only one of the first rebuilds has made.
  for (let n = 0; n < 55; n++) {
    await install(db, 'c', '5', `${n + 6}`)
    await rollback(db)
    await rebuild(db, `${n + 6}`, '5')
  }
  await age()
  const before = await plan(db)
  assert.deepEqual([before.from, before.to, before.turns_on, before.blockers], ['5', '4', ['b'], []])
  const rebuilds = await count('rebuilds')
  await pruneAll(1, 20, async () => {
    await isConsistent()
    assert.deepEqual(await plan(db), before)
  })
  assert.ok((await count('rebuilds')) < rebuilds / 2, 'old rebuilds were deleted')
  for (const [from, to] of [
    ['5', '4'],
    ['4', '3'],
    ['3', '2'],
    ['2', '1'],
  ] as const) {
    const { blockers, ...next } = await plan(db)
    assert.deepEqual([next.from, next.to, blockers], [from, to, []])
    await rollback(db)
    await rebuild(db, from, to)
  }
})

test('failed rebuilds that are deleted do not prevent a rollback to the machine without apps', async () => {
  for (let n = 0; n < 3; n++) await failToInstall('a', '1')
  await install(db, 'a', '1', '2')
  await age()
  const before = await plan(db)
  assert.deepEqual([before.to, before.turns_off, before.blockers], ['1', ['a'], []])
  await pruneAll(1, 1)
  assert.equal(await count('rebuilds'), 1)
  assert.deepEqual(await plan(db), before)
})

test('after the first rebuild was deleted, a later one does not count as the first', async () => {
  await installAndUninstall('a', 1)
  await db.root.query("delete from bloud.apps where name = 'a'")
  await install(db, 'b', '9', '10') // generation 9 was made by the operator
  await age()
  const before = await plan(db)
  assert.match(JSON.stringify(before.blockers), /Generation 9.*was not made by the agent/)
  await pruneAll(0, 100)
  assert.equal(await count('rebuilds'), 1)
  assert.deepEqual(await plan(db), before)
})
