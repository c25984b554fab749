/** Tests that the lease can't change hands while the lease holder has an unfinished transaction. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry, session, waitingForLock } from '../support/sql.ts'
import { statuses, useDatabase } from './support.ts'

const db = useDatabase('attempt', [entry('a')])

test('another worker acquires the lease only after the open transaction of its holder', async () => {
  await db.root.query("select bloud.install('a')")
  await db.root.query("update bloud.lease set lease_until = now() - interval '1 hour'")
  const other = await session(db.database.url)
  await db.root.query('begin')
  await db.root.query('select bloud.claim_rebuild($1, 60)', [db.attempt])
  const order: string[] = []
  const acquired = other.query("select bloud.acquire_lease('other', 60)").then(() => order.push('acquired'))
  await waitingForLock(db.operator)
  order.push('commit')
  await db.root.query('commit')
  await acquired
  assert.deepEqual(order, ['commit', 'acquired'])
  assert.deepEqual(await statuses(db), { a: 'configuring' })
  await assert.rejects(db.root.query('select bloud.sweep($1)', [db.attempt]), { code: 'BL016' })
  await other.end()
})
