import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql as slonik } from 'slonik'
import { z } from 'zod'
import { translated } from '../../src/db/error.ts'
import { probedApps } from '../../src/db/health.ts'
import { openPool, rows } from '../../src/db/pool.ts'
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
  const secondsLeft = async () => (await probedApps(pool)).apps.map((app) => Math.ceil(app.seconds_left ?? 0))
  assert.deepEqual(await secondsLeft(), [60])
  await sql.query('update bloud.apps set deadline = bloud.clock()')
  assert.deepEqual(await secondsLeft(), [0])
})

test('a transaction whose query has no answer in time fails as unavailable, and the next one works', async (t) => {
  const database = await testDatabase('unanswered')
  const pool = await openPool(database.url, 'unanswered', 1, 1_000)
  t.after(async () => {
    await pool.end()
    await database.drop()
  })
  const transaction = translated(() =>
    pool.transaction((db) =>
      rows(db, z.unknown(), slonik.fragment`select to_jsonb(pg_sleep(1.5)::text) as row`),
    ),
  )
  await assert.rejects(transaction, { code: 'database_unavailable' })
  assert.deepEqual(await rows(pool, z.number(), slonik.fragment`select to_jsonb(1) as row`), [1])
})
