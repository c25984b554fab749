/** Tests of bloud.readiness(), which returns the reasons why the agent is not ready. */
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type pg from 'pg'
import { pollUntil } from '../../src/system/timeout.ts'
import { entry, session, value } from '../support/sql.ts'
import { useDatabase } from './support.ts'

const db = useDatabase('readiness', [entry('a')])
const LIMIT_MS = 60_000

interface Row {
  cause: string
  sentence: string
  hint: string
}

const causes = async (client: pg.Client = db.root): Promise<Row[]> =>
  (await client.query('select * from bloud.readiness()')).rows

/** Makes the session of the tests one of the worker `test`. */
const connect = (): Promise<unknown> => db.root.query("set application_name = 'bloud-orchestrator-test'")

const report = (problems: object[] = [], clock = 'now()'): Promise<unknown> =>
  db.root.query(`select bloud.report_worker('test', ${clock}, $1)`, [JSON.stringify(problems)])

async function onlyCause(client?: pg.Client): Promise<Row> {
  const found = await causes(client)
  assert.equal(found.length, 1, JSON.stringify(found))
  const [row] = found as [Row]
  assert.match(row.sentence, /^[A-Z][^.]+\.$/, 'one sentence')
  assert.ok(row.hint)
  return row
}

beforeEach(connect)

test('a lease holder that reports regularly makes the agent ready', async () => {
  await report()
  assert.deepEqual(await causes(), [])
})

test('without a lease, and with a lease holder that has stopped reporting, no worker is the reason', async () => {
  assert.equal((await onlyCause()).cause, 'no_worker', 'a lease holder that has never reported')
  await report()
  await db.root.query("update bloud.workers set reported_at = now() - interval '2 minutes'")
  assert.match((await onlyCause()).sentence, /test holds the lease, but reports nothing/)
  await report()
  await db.root.query('reset application_name')
  assert.match((await onlyCause()).sentence, /test holds the lease, but is not connected/)
  await connect()
  await db.root.query("update bloud.workers set reported_at = now() + interval '1 hour'")
  assert.equal((await onlyCause()).cause, 'no_worker', 'a report of a time when the clock was ahead')
  await report()
  await db.root.query('select bloud.release_lease($1)', [db.attempt])
  assert.match((await onlyCause()).sentence, /No orchestrator holds the lease/)
})

test('a problem that a worker reports is a reason until the worker reports without it', async () => {
  const problem = { cause: 'supervisor', sentence: 'The supervisor does not run.', hint: 'Read its log.' }
  await report([problem])
  const { cause, sentence, hint } = await onlyCause()
  assert.deepEqual({ cause, sentence, hint }, problem)
  await report()
  assert.deepEqual(await causes(), [])
})

test('reports of workers that have gone are deleted', async () => {
  await db.root.query("select bloud.report_worker('old', now(), '[]')")
  await db.root.query("update bloud.workers set reported_at = now() - interval '4 minutes'")
  await report()
  assert.equal(await value(db.root, "select string_agg(worker, ' ') from bloud.workers"), 'test')
})

test('clocks more than 30 s apart are a reason, whichever is ahead', async () => {
  await report([], "now() + interval '20 seconds'")
  assert.deepEqual(await causes(), [])
  await report([], "now() + interval '1 hour'")
  assert.match((await onlyCause()).sentence, /test is 3600 s ahead of the clock of the database/)
  await report([], "now() - interval '1 hour'")
  assert.match((await onlyCause()).sentence, /test is 3600 s behind the clock of the database/)
})

test('a clock of the database that is behind the newest event is a reason', async () => {
  await db.root.query("set bloud.clock = '2100-01-01'")
  await db.root.query("select bloud.install('a')")
  await db.root.query('reset bloud.clock')
  await report()
  assert.match((await onlyCause()).sentence, /database is \d+ s behind the newest event/)
})

test('a database that accepts no changes is a reason, but not a session that has set itself so', async () => {
  await report()
  const viewer = await session(db.database.url)
  await viewer.query('set role bloud_viewer; set default_transaction_read_only = on')
  assert.deepEqual(await causes(viewer), [])
  await viewer.end()
  await db.root.query(`alter database "${db.database.name}" set default_transaction_read_only = on`)
  const after = await session(db.database.url)
  assert.equal((await onlyCause(after)).cause, 'read_only')
  await after.end()
})

test('a session for which a verb waits is named with process id, role and application', async () => {
  await report()
  const holder = await session(db.database.url)
  await holder.query("set application_name = 'long talk'; begin; select bloud.install('a')")
  const pid = await value<number>(holder, 'select pg_backend_pid()')
  const waiting = db.operator.query("select bloud.install('a')")
  const viewer = await session(db.database.url)
  await viewer.query('set role bloud_viewer')
  const found = await pollUntil(async () => (await causes(viewer))[0], LIMIT_MS)
  assert.equal(found?.cause, 'locked')
  assert.match(
    found.sentence,
    new RegExp(`session ${pid} \\(role \\w+, application long talk\\) blocks another session`),
  )
  assert.match(found.hint, new RegExp(`pg_terminate_backend\\(${pid}\\)`))
  await holder.query('commit')
  await waiting
  assert.deepEqual(await causes(viewer), [])
  const { rows } = await db.root.query("select question, answer from bloud.why('a')")
  assert.ok(!rows.some(({ question }) => question === 'locked'))
  await Promise.all([holder.end(), viewer.end()])
})

test('why() returns the reasons why the agent is not ready', async () => {
  await db.operator.query("select bloud.install('a')")
  await report()
  const reasons = async () =>
    (await db.operator.query("select question, answer from bloud.why('a')")).rows
      .filter(({ question }) => ['no worker', 'supervisor'].includes(question))
      .map(({ answer }) => answer)
  assert.deepEqual(await reasons(), [])
  await report([{ cause: 'supervisor', sentence: 'It does not run.', hint: 'Start it.' }])
  await db.root.query('update bloud.lease set lease_until = null')
  const [worker, supervisor] = await reasons()
  assert.match(worker, /^No orchestrator holds the lease/)
  assert.equal(supervisor, 'It does not run. Start it.')
})
