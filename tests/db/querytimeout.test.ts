import assert from 'node:assert/strict'
import { test } from 'node:test'
import { probedApps } from '../../src/db/health.ts'
import { openPool } from '../../src/db/pool.ts'
import { claimRebuild } from '../../src/db/rebuild.ts'
import { testDatabase } from '../support/cluster.ts'
import { entry, lead, session } from '../support/sql.ts'

const CLOCK = '2001-01-01T00:00:00Z'

test('the remaining time of a deadline is correct for any clock of the database', async (t) => {
  const database = await testDatabase('deadlines')
  const url = new URL(database.url)
  url.searchParams.set('options', `-c bloud.clock=${CLOCK}`)
  const pool = await openPool(url.href, 'deadlines', 1)
  const sql = await session(database.url)
  t.after(async () => {
    await pool.end()
    await sql.end()
    await database.drop()
  })
  await sql.query(`set bloud.clock = '${CLOCK}'`)
  const attempt = await lead(sql, [entry('flow')])
  await sql.query("select bloud.install('flow')")
  const rebuild = await claimRebuild(pool, attempt, 600)
  const left = (rebuild?.endsAt ?? 0) - performance.now()
  assert.ok(left > 500_000 && left <= 600_000, `${left} ms are left of 600 s`)
  await sql.query("select bloud.begin_run($1, $2, '1')", [attempt, rebuild?.id])
  await sql.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, rebuild?.id])
  const overdue = async () => (await probedApps(pool)).map((app) => app.overdue)
  assert.deepEqual(await overdue(), [false])
  await sql.query('update bloud.apps set deadline = bloud.clock()')
  assert.deepEqual(await overdue(), [true])
})
