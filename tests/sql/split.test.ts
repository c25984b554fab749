/**
 * Tests that a failed rebuild (one change of the machine for several apps) is repeated without the failed
 * app, or in halves if that app is unknown.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry, rebuildAll, transitionsOf, value } from '../support/sql.ts'
import { begin, claim, statuses, useDatabase } from './support.ts'

const NAMES = ['a', 'b', 'c', 'd']
const db = useDatabase(
  'split',
  NAMES.map((name) => entry(name, { timeout: 30 })),
)

test('a failed app fails alone, and the next rebuild includes the other apps', async () => {
  for (const name of ['a', 'b', 'c']) await db.root.query('select bloud.install($1)', [name])
  const first = (await claim(db)) as string
  await begin(db, first)
  const failures = { b: { class: 'build', message: 'does not build', exit_code: 1 } }
  const next = await value<string>(db.root, "select id from bloud.end_rebuild($1, $2, false, 1, '1', $3)", [
    db.attempt,
    first,
    JSON.stringify(failures),
  ])
  assert.deepEqual(await statuses(db), { a: 'building', b: 'failed', c: 'building' })
  assert.deepEqual(await value(db.root, "select cause from bloud.apps where name = 'b'"), {
    phase: 'building',
    ...failures.b,
  })
  const { rows } = await db.root.query('select name from bloud.desired_apps')
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['a', 'c'],
    'the failed app is not in the next rebuild',
  )
  assert.equal(await claim(db), next)
  await begin(db, next)
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [db.attempt, next])
  assert.deepEqual(await statuses(db), { a: 'starting', b: 'failed', c: 'starting' })
  assert.deepEqual(await transitionsOf(db.root, 'b'), [
    '→queued',
    'queued→configuring',
    'configuring→building',
    'building→failed',
  ])
})

/**
 * Runs rebuilds until no operation is queued, and returns the apps of each rebuild. A rebuild with the app
 * `bad` fails, but the error does not name the app.
 */
async function endAll(bad: string): Promise<string[][]> {
  const rebuilds: string[][] = []
  for (let id = await claim(db); id !== undefined; id = await claim(db)) {
    const { rows } = await db.root.query(
      "select app from bloud.operations where rebuild_id = $1 and state = 'active' order by app",
      [id],
    )
    const included = rows.map(({ app }) => app as string)
    rebuilds.push(included)
    await begin(db, id)
    const { rows: desired } = await db.root.query('select name from bloud.desired_apps where status = $1', [
      'building',
    ])
    assert.deepEqual(desired.map(({ name }) => name).sort(), included, 'waiting operations are not built')
    const cause = JSON.stringify({ class: 'evaluate', message: 'it does not evaluate' })
    await db.root.query("select bloud.end_rebuild($1, $2, $3, 1, '2', '{}', $4, true)", [
      db.attempt,
      id,
      !included.includes(bad),
      cause,
    ])
  }
  return rebuilds
}

test('a failed rebuild whose cause names no app is halved until the failed app is alone', async () => {
  for (const name of NAMES) await db.root.query('select bloud.install($1)', [name])
  const rebuilds = await endAll('c')
  assert.deepEqual(rebuilds, [['a', 'b', 'c', 'd'], ['a', 'b'], ['c', 'd'], ['c'], ['d']])
  assert.deepEqual(await statuses(db), { a: 'starting', b: 'starting', c: 'failed', d: 'starting' })
  assert.deepEqual(await transitionsOf(db.root, 'd'), [
    '→queued',
    'queued→configuring',
    'configuring→building',
    'building→starting',
  ])
  const { rows } = await db.root.query('select * from bloud.check_invariants()')
  assert.deepEqual(rows, [])
})

test('no half of a split rebuild includes an app before its dependency', async () => {
  const needsDb = { integrations: { db: { required: true, compatible: [{ app: 'db', default: true }] } } }
  const entries = [entry('db'), entry('reader', needsDb), entry('other')]
  await db.root.query('select bloud.sync_catalog($1, $2)', [db.attempt, JSON.stringify(entries)])
  await db.root.query("select bloud.install('db')")
  await rebuildAll(db.root, db.attempt)
  const cause = { class: 'health', message: 'sick' }
  await db.root.query("select bloud.report_health($1, 'db', false, $2)", [db.attempt, JSON.stringify(cause)])
  await db.root.query("select bloud.install('reader')") // requires db, which is requested later
  await db.root.query("select bloud.install('other')")
  await db.root.query("select bloud.retry('db')")
  const rebuilds = await endAll('other')
  assert.deepEqual(rebuilds[0], ['db', 'other', 'reader'])
  const at = (app: string): number => rebuilds.findIndex((apps, n) => n > 0 && apps.includes(app))
  assert.ok(at('db') <= at('reader'), JSON.stringify(rebuilds))
  assert.deepEqual(await statuses(db), { db: 'starting', other: 'failed', reader: 'starting' })
})
