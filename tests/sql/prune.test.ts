/** Tests of prune(), which deletes old events and log lines. */
import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, rebuildAll, session, transitionsOf, value } from '../support/sql.ts'

let database: TestDatabase
let client: pg.Client
let attempt: number

beforeEach(async () => {
  await close()
  database = await testDatabase('prune')
  client = await session(database.url)
  attempt = await lead(client, [entry('busy'), entry('quiet')])
})
after(close)

async function close(): Promise<void> {
  await client?.end()
  await database?.drop()
}

const daysAgo = (days: number): Promise<unknown> =>
  client.query("select set_config('bloud.clock', (now() - make_interval(days => $1))::text, false)", [days])

async function liveOnce(app: string): Promise<void> {
  await client.query('select bloud.install($1)', [app])
  const id = await value(client, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  await client.query("select bloud.begin_run($1, $2, '1')", [attempt, id])
  await client.query("select bloud.append_log($1, $2, 0, 9, array['one', 'two'])", [attempt, id])
  await client.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, id])
  await client.query('select bloud.report_health($1, $2, true)', [attempt, app])
  await client.query('select bloud.uninstall($1)', [app])
  await rebuildAll(client, attempt)
}

interface Pruned {
  pruned: number
  next_seq: string | null
}

/** Prunes until nothing is left to prune. Returns the number of deleted rows of each call. */
async function pruneAll(keep: number, batch: number): Promise<number[]> {
  const counts: number[] = []
  for (let after: string | null = '0'; ; ) {
    const { rows }: pg.QueryResult<Pruned> = await client.query(
      "select pruned, next_seq from bloud.prune($1, interval '90 days', $2, $3, $4)",
      [attempt, keep, batch, after],
    )
    const [{ pruned, next_seq }] = rows as [Pruned]
    counts.push(pruned)
    if (pruned === 0 && next_seq === null) return counts
    after = next_seq
  }
}

test('old events are pruned in batches; the last operations of each app and recent events stay', async () => {
  await daysAgo(200)
  await liveOnce('quiet')
  for (let n = 0; n < 3; n++) await liveOnce('busy')
  await daysAgo(10)
  await liveOnce('busy')
  const total = await value<number>(client, 'select count(*)::int from bloud.events')
  const recent = await value<number>(
    client,
    "select count(*)::int from bloud.events where at > now() - interval '90 days'",
  )
  await client.query("select set_config('bloud.clock', '', false)")

  const counts = await pruneAll(2, 5)
  assert.ok(Math.max(...counts) <= 20, `at most 5 events, lines, operations and rebuilds: ${counts}`)
  assert.deepEqual(await transitionsOf(client, 'quiet'), [
    '→queued',
    'queued→configuring',
    'configuring→building',
    'building→starting',
    'starting→running',
    'running→stopping',
    'stopping→stopped',
  ])
  const left = await value<number>(client, 'select count(*)::int from bloud.events')
  assert.equal(left, 7 + recent, 'the last two operations of quiet, and the recent events of busy')
  assert.ok(left < total)
  const { rows } = await client.query(
    `select o.app, count(*)::int as lines
    from bloud.rebuild_log l join bloud.operations o using (rebuild_id) group by 1 order by 1`,
  )
  assert.deepEqual(rows, [
    { app: 'busy', lines: 2 },
    { app: 'quiet', lines: 2 },
  ])
  assert.deepEqual((await client.query('select * from bloud.check_invariants()')).rows, [])
})

test('stream_head() reports what is pruned, and the last event of an app is never pruned', async () => {
  await daysAgo(200)
  const insert =
    "insert into bloud.apps (name, display_name, version, status) values ('busy', 'B', '1', 'queued')"
  await client.query(insert) // inserts an app without an operation
  for (const status of ['configuring', 'failed']) {
    await client.query('update bloud.apps set status = $1, cause = $2', [
      status,
      '{"class":"build","message":"no"}',
    ])
  }
  await client.query("select set_config('bloud.clock', '', false)")
  await pruneAll(0, 100)
  assert.deepEqual(await transitionsOf(client, 'busy'), ['configuring→failed'])
  const { rows } = await client.query('select seq::int, oldest::int from bloud.stream_head()')
  assert.deepEqual(rows, [{ seq: 3, oldest: 2 }])
})
