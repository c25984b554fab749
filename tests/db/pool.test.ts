import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPool } from '../../src/db/pool.ts'
import { testDatabase } from '../support/cluster.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'

/** Number of attempts to open a pool. In attempt n, the connection is cut after n chunks from the client. */
const PIECES = 12

test('opening a pool fails with an error, wherever the connection is cut', async (t) => {
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
  assert.ok(failed >= 2, `${failed} attempts failed`)
})
