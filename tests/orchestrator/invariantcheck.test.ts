/** Tests of the regular check of the invariants: what it reads, and what it stores and logs. */
import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { openPool, type Pool } from '../../src/db/pool.ts'
import type { Logger } from '../../src/log.ts'
import type { Context } from '../../src/orchestrator/context.ts'
import { createInvariantCheck } from '../../src/orchestrator/invariantcheck.ts'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, rebuildAll, session, value } from '../support/sql.ts'

/** Pause after the end of a check. A shorter one means that the same check goes on. */
const AT_THE_END_MS = 10 * 60_000

let database: TestDatabase
let sql: pg.Client
let pool: Pool
let attempt: number
let logged: string[] = []

beforeEach(async () => {
  await close()
  database = await testDatabase('invariant_check')
  sql = await session(database.url)
  pool = await openPool(database.urlFor('bloud_orchestrator'), 'test', 2)
  attempt = await lead(sql, [entry('a'), entry('b')])
  logged = []
  // Records the ranges of events that are checked.
  await sql.query(`create table public.ranges (n serial, after bigint);
    alter function bloud.check_events(bigint, bigint) rename to check_events_really;
    create function bloud.check_events(p_after bigint, p_to bigint)
      returns table (invariant text, app text, detail text) language plpgsql security definer as $$
      begin
        insert into public.ranges (after) values (p_after);
        return query select * from bloud.check_events_really(p_after, p_to);
      end $$;
    grant execute on function bloud.check_events(bigint, bigint) to public`)
})
after(close)

async function close(): Promise<void> {
  await pool?.end()
  await sql?.end()
  await database?.drop()
}

const log = { error: ({ app }: { app: string }) => logged.push(app) } as unknown as Logger
const checkOf = () => createInvariantCheck({ pool, attempt, log } as Context)

/** Calls `check` until it has ended. Returns after which event each range began. */
async function whole(check = checkOf()): Promise<number[]> {
  await sql.query('delete from public.ranges')
  for (let ms = 0; ms < AT_THE_END_MS; ms = await check());
  const { rows } = await sql.query('select after::int from public.ranges order by n')
  return rows.map(({ after }) => after)
}

async function installApp(app: string): Promise<number> {
  await sql.query('select bloud.install($1)', [app])
  await rebuildAll(sql, attempt)
  return value(sql, 'select max(seq)::int from bloud.events')
}

const stored = async () =>
  (
    await sql.query(`select checked_to::int as to, whole_at >= checked_at as whole,
      coalesce((select array_agg(v ->> 'app') from jsonb_array_elements(violations) v), '{}') as apps
      from bloud.invariant_check`)
  ).rows[0]

test('the first check reads all events, and the next one only newer events', async () => {
  const first = await installApp('a')
  assert.deepEqual(await whole(), [0])
  assert.deepEqual(await stored(), { to: first, whole: true, apps: [] })
  const second = await installApp('b')
  assert.deepEqual(await whole(), [first])
  assert.deepEqual(await stored(), { to: second, whole: false, apps: [] })
  assert.deepEqual(await whole(), [], 'without a new event only the state is checked')
})

test('all events are checked again after a day, and after the clock was set back', async () => {
  await installApp('a')
  await whole()
  for (const [offset, ranges] of [
    ["- interval '23 hours'", []],
    ["- interval '25 hours'", [0]],
    ["+ interval '1 hour'", [0]],
  ]) {
    await sql.query(`update bloud.invariant_check set whole_at = now() ${offset}`)
    assert.deepEqual(await whole(), ranges, `${offset}`)
  }
})

test('a violation is stored, logged once, and all events are checked until it is gone', async () => {
  await installApp('a')
  await installApp('b')
  const check = checkOf()
  await whole(check)
  await sql.query(
    "set session_replication_role = replica; update bloud.apps set wanted = false where name = 'a'",
  )
  assert.deepEqual(await whole(check), [], 'the state is checked although no event is new')
  assert.deepEqual([(await stored()).apps, logged], [['a'], ['a']])
  assert.deepEqual(await whole(check), [0])
  assert.deepEqual([(await stored()).apps, logged], [['a'], ['a']], 'logged once')
  await sql.query(
    "update bloud.apps set wanted = true where name = 'a'; set session_replication_role = origin",
  )
  assert.deepEqual(await whole(check), [0])
  assert.deepEqual((await stored()).apps, [])
  assert.deepEqual(await whole(check), [])
})

test('a violation by an old event is found by a check of all events', async () => {
  await installApp('a')
  await sql.query(`set session_replication_role = replica;
    update bloud.events set from_status = 'error' where seq = 3; set session_replication_role = origin`)
  await whole()
  assert.deepEqual([...new Set((await stored()).apps)], ['a'])
  assert.ok(logged.length > 0)
})

test('a check that has failed goes on with the same range', async () => {
  await installApp('a')
  const check = checkOf()
  await sql.query('alter function bloud.check_events_really rename to gone')
  await assert.rejects(check())
  assert.equal(await value(sql, 'select checked_at from bloud.invariant_check'), null)
  await sql.query('alter function bloud.gone rename to check_events_really')
  assert.deepEqual(await whole(check), [0])
})

test('a worker that has lost the lease stores no result', async () => {
  const check = checkOf()
  await sql.query("select bloud.acquire_lease('test', 60)")
  await assert.rejects(check(), { code: 'stale_attempt' })
  assert.equal(await value(sql, 'select checked_at from bloud.invariant_check'), null)
})
