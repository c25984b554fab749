/** Tests that the functions which a worker calls without work write nothing, and so never sync the disk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry, rebuildAll, refusalOf, value } from '../support/sql.ts'
import { useDatabase } from './support.ts'

const db = useDatabase('idle', [entry('app'), entry('other')])

/** Returns true if a transaction with this statement gets an id: it changes or locks a row. */
async function writes(text: string, values: unknown[] = []): Promise<boolean> {
  await db.root.query('begin')
  try {
    await db.root.query(text, values)
    return await value(db.root, 'select pg_current_xact_id_if_assigned() is not null')
  } finally {
    await db.root.query('rollback')
  }
}

const CLAIM = 'select bloud.claim_rebuild($1, 60)'
const SWEEP = 'select bloud.sweep($1)'
const READS = [
  'bloud.has_work()',
  'bloud.is_sweep_due()',
  'bloud.late_deadlines()',
  'bloud.gone_holder()',
  'bloud.stream_head()',
  'bloud.readiness()',
]

async function runApp(): Promise<void> {
  await db.root.query("select bloud.install('app')")
  await rebuildAll(db.root, db.attempt)
}

test('a worker without work writes nothing', async () => {
  await runApp()
  for (const read of READS) assert.equal(await writes(`select * from ${read}`), false, read)
  for (const text of [CLAIM, SWEEP]) assert.equal(await writes(text, [db.attempt]), false, text)
  assert.equal(await writes('select bloud.renew_lease($1, 60)', [db.attempt]), true, 'a write is found')
})

test('a worker with work writes', async () => {
  await runApp()
  await db.root.query("select bloud.install('other')")
  assert.equal(await writes(CLAIM, [db.attempt]), true)
  assert.equal(await writes(SWEEP, [db.attempt]), false, 'no time limit has passed')
  await db.root.query(`update bloud.apps set deadline = now() - interval '6 seconds' where name = 'other'`)
  assert.equal(await writes(SWEEP, [db.attempt]), true, 'a time limit has passed')
  await db.root.query(`update bloud.apps set deadline = now() + interval '2 days' where name = 'other'`)
  assert.equal(await writes(SWEEP, [db.attempt]), true, 'a time limit was stored by a clock that was ahead')
})

test('a worker that has lost the lease is refused, also without work', async () => {
  for (const text of [CLAIM, SWEEP])
    assert.equal((await refusalOf(db.root, text, [db.attempt - 1])).code, 'BL016')
})
