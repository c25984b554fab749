/**
 * Tests that every PostgreSQL role with read access can run every read query, whatever the status of the
 * apps.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, session, value } from '../support/sql.ts'

let database: TestDatabase
let root: pg.Client
let readers: pg.Client[]
let attempt: number

before(async () => {
  database = await testDatabase('readers')
  root = await session(database.url)
  readers = await Promise.all(
    (['bloud_relay', 'bloud_operator', 'bloud_orchestrator'] as const).map((role) =>
      session(database.urlFor(role)),
    ),
  )
  const needsDb = { integrations: { db: { required: true, compatible: [{ app: 'db', default: true }] } } }
  attempt = await lead(root, [entry('db'), entry('reader', needsDb)])
})
after(async () => {
  await Promise.all([root, ...readers].map((client) => client.end()))
  await database.drop()
})

const READS = [
  'select bloud.snapshot()',
  'select * from bloud.app_status',
  'select * from bloud.catalog',
  'select * from bloud.queue',
  'select * from bloud.active',
  'select * from bloud.history',
  "select * from bloud.why('reader')",
  "select bloud.plan_install('reader'), bloud.plan_uninstall('reader')",
  'select * from bloud.check_invariants()',
  'select * from bloud.events_after(0, 10), bloud.stream_head()',
  'select * from bloud.operation_log(1, 0, 10)',
]

async function assertAllCanRead(status: string): Promise<void> {
  assert.equal(await value(root, "select status from bloud.apps where name = 'reader'"), status)
  for (const reader of readers) {
    for (const text of READS) {
      await reader.query(text).catch((error: Error) => assert.fail(`${status}: ${text}: ${error.message}`))
    }
  }
}

test('each reading role can run every query in each status of an app', async () => {
  await root.query("select bloud.install('reader')")
  await assertAllCanRead('queued')
  const claim = () => value<string>(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  const end = (id: string, switched: boolean) =>
    root.query("select bloud.end_rebuild($1, $2, $3, 0, '2', '{}', $4)", [
      attempt,
      id,
      switched,
      switched ? null : JSON.stringify({ class: 'build', message: 'no' }),
    ])
  const first = await claim()
  await assertAllCanRead('configuring')
  await root.query("select bloud.begin_run($1, $2, '1')", [attempt, first])
  await assertAllCanRead('building')
  await end(first, false)
  await assertAllCanRead('failed')
  await root.query("select bloud.retry('reader')")
  const second = await claim()
  await root.query("select bloud.begin_run($1, $2, '1')", [attempt, second])
  await end(second, true)
  await assertAllCanRead('starting')
  await root.query('select bloud.report_health($1, name, true) from bloud.apps', [attempt])
  await assertAllCanRead('running')
  await root.query('select bloud.report_health($1, $2, false, $3)', [
    attempt,
    'reader',
    '{"message": "sick"}',
  ])
  await assertAllCanRead('error')
  await root.query("select bloud.uninstall('reader')")
  await assertAllCanRead('stopping')
  const third = await claim()
  await root.query("select bloud.begin_run($1, $2, '2')", [attempt, third])
  await end(third, true)
  await assertAllCanRead('stopped')
})
