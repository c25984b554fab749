import assert from 'node:assert/strict'
import { test } from 'node:test'
import { streamAfter } from '../../src/db/event.ts'
import { openEventReader } from '../../src/db/eventreader.ts'
import { openPool } from '../../src/db/pool.ts'
import { testDatabase } from '../support/cluster.ts'
import { entry, lead, rebuildAll, session } from '../support/sql.ts'

test('the event reader returns the same rows as the pool, and reconnects after a loss', async (t) => {
  const database = await testDatabase('reader')
  const client = await session(database.url)
  const pool = await openPool(database.url, 'reader-checked', 1)
  const reader = openEventReader(database.url, 'reader-quick', 5_000)
  t.after(async () => {
    await Promise.all([client.end(), pool.end(), reader.end()])
    await database.drop()
  })
  const attempt = await lead(client, [entry('alpha')])
  await client.query("select bloud.install('alpha')")
  await rebuildAll(client, attempt)
  const checked = await streamAfter(pool, 0, 100)
  assert.ok(checked.length > 2)
  assert.deepEqual(await reader.after(0, 100), checked)
  assert.deepEqual(await reader.after(checked[1]?.seq ?? 0, 1), [checked[2]])
  await client.query(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'reader-quick'",
  )
  // The first read after the session was terminated may fail, because the reader may not have noticed it yet.
  await reader.after(0, 1).catch(() => undefined)
  assert.deepEqual(await reader.after(0, 100), checked)
})
