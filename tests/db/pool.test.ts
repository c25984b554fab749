/** A connection that is lost while a pool opens. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPool } from '../../src/db/pool.ts'
import { testDatabase } from '../support/cluster.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'

/** Number of tests; larger than the number of chunks that a client sends until its pool is open. */
const PIECES = 12

test('a connection lost at any moment makes opening a pool fail with an error only', async (t) => {
  const database = await testDatabase('opening')
  t.after(() => database.drop())
  let failed = 0
  for (let pieces = 1; pieces <= PIECES; pieces += 1) {
    const line = await startCuttingProxy(database.url, pieces)
    const pool = await openPool(line.url, 'opening', 1).catch(() => undefined)
    line.stop()
    await pool?.end().catch(() => undefined)
    if (!pool) failed += 1
  }
  assert.ok(failed >= 3, `${failed} attempts failed`)
})
