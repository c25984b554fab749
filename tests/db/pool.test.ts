/** A pool that is being opened while the line to the database breaks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPool } from '../../src/db/pool.ts'
import { testDatabase } from '../support/cluster.ts'
import { shortLine } from '../support/cutting-proxy.ts'

/** More pieces than a client sends until its pool is open. */
const PIECES = 12

test('cut behind whatever it sends, opening a pool fails with an error and nothing else', async (t) => {
  const database = await testDatabase('opening')
  t.after(() => database.drop())
  let failed = 0
  for (let pieces = 1; pieces <= PIECES; pieces += 1) {
    const line = await shortLine(database.url, pieces)
    const pool = await openPool(line.url, 'opening', 1).catch(() => undefined)
    line.stop()
    await pool?.end().catch(() => undefined)
    if (!pool) failed += 1
  }
  assert.ok(failed >= 3, `it failed ${failed} times`)
})
