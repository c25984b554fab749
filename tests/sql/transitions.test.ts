/** Tests that the database allows exactly the listed status changes of an app. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { STATUSES } from '../../src/domain/status.ts'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { refusalOf, session, value } from '../support/sql.ts'

/** For each status, the statuses after `queued` through which a new app reaches it. */
const PATHS: Record<string, string[]> = {
  queued: [],
  configuring: ['configuring'],
  building: ['configuring', 'building'],
  starting: ['configuring', 'building', 'starting'],
  running: ['configuring', 'building', 'starting', 'running'],
  error: ['configuring', 'building', 'starting', 'error'],
  failed: ['configuring', 'failed'],
  stopping: ['configuring', 'failed', 'stopping'],
  stopped: ['configuring', 'failed', 'stopping', 'stopped'],
}
/**
 * All legal status changes, as in the table status_transitions. `→queued` is an insert, `queued→` a deletion.
 */
const SEED = `→queued
  queued→configuring queued→failed queued→stopped queued→
  configuring→building configuring→failed
  building→starting building→failed
  starting→running starting→error starting→stopping
  running→error running→stopping running→running
  error→running error→queued error→stopping
  failed→queued failed→stopping failed→
  stopping→stopped stopping→error stopping→
  stopped→queued stopped→`

let database: TestDatabase
let client: pg.Client
before(async () => {
  database = await testDatabase('transitions')
  client = await session(database.url)
})
after(async () => {
  await client.end()
  await database.drop()
})

const INSERT = "insert into bloud.apps (name, display_name, version, status) values ('app', 'App', '1', $1)"

/** Inserts an app, brings it to `status`, calls `run`, and rolls everything back. */
async function at<T>(status: string, run: () => Promise<T>): Promise<T> {
  await client.query('begin')
  try {
    await client.query(INSERT, ['queued'])
    for (const next of PATHS[status] ?? []) await client.query('update bloud.apps set status = $1', [next])
    return await run()
  } finally {
    await client.query('rollback')
  }
}

async function isLegal(from: string | null, to: string | null): Promise<boolean> {
  return await value(
    client,
    `select exists (select from bloud.status_transitions
      where from_status is not distinct from $1 and to_status is not distinct from $2)`,
    [from, to],
  )
}

test('the table status_transitions has exactly the expected transitions', async () => {
  const { rows } = await client.query(
    `select coalesce(from_status, '') || '→' || coalesce(to_status, '') as transition
     from bloud.status_transitions`,
  )
  assert.deepEqual(rows.map(({ transition }) => transition).sort(), SEED.split(/\s+/).sort())
})

test('a change of status is allowed if the table has the transition, and refused if not', async () => {
  for (const from of STATUSES) {
    for (const to of STATUSES) {
      const legal = await isLegal(from, to)
      await at(from, async () => {
        if (legal) {
          await client.query('update bloud.apps set status = $1', [to])
          assert.equal(await value(client, 'select status from bloud.apps'), to)
          return
        }
        const refusal = await refusalOf(client, 'update bloud.apps set status = $1', [to])
        assert.equal(refusal.code, 'BL003', `${from}→${to}`)
        assert.match(refusal.hint ?? '', /^Legal from here: /)
      })
    }
  }
})

test('an app can only begin as queued', async () => {
  for (const status of STATUSES) {
    await client.query('begin')
    if (status === 'queued') await client.query(INSERT, [status])
    else assert.equal((await refusalOf(client, INSERT, [status])).code, 'BL003', status)
    await client.query('rollback')
  }
})

test('an app is deleted only in stopping, stopped, failed, or in queued if never configured', async () => {
  for (const status of STATUSES) {
    const legal = await isLegal(status, null)
    assert.equal(legal, ['queued', 'stopping', 'stopped', 'failed'].includes(status))
    await at(status, async () => {
      if (legal) await client.query('delete from bloud.apps')
      else assert.equal((await refusalOf(client, 'delete from bloud.apps')).code, 'BL003', status)
    })
  }
  await at('failed', async () => {
    await client.query("update bloud.apps set status = 'queued'")
    const refusal = await refusalOf(client, 'delete from bloud.apps')
    assert.equal(refusal.code, 'BL003', 'queued again after it had been configured')
  })
})

test('a cause or choices that readers could not parse are refused, even to the superuser', async () => {
  const refused = (set: string) =>
    assert.rejects(client.query(`update bloud.apps set ${set}`), { code: '23514' }, set)
  await client.query('begin')
  await client.query(
    "insert into bloud.apps (name, display_name, version, status) values ('odd', 'Odd', '1', 'queued')",
  )
  await client.query('savepoint inserted')
  for (const set of [
    `cause = '"text"'`,
    `cause = '{"class": "sorcery", "message": "x"}'`,
    `cause = '{"class": "health"}'`,
  ]) {
    await refused(set)
    await client.query('rollback to inserted')
  }
  await refused(`integration_config = '3'`)
  await client.query('rollback to inserted')
  await client.query(
    `update bloud.apps
     set cause = '{"class": "health", "message": "x"}', integration_config = '{"a": ["b"]}'`,
  )
  await client.query('rollback')
})

test('a status that does not exist is refused, even to the superuser', async () => {
  await at('queued', async () => {
    const refusal = await refusalOf(client, "update bloud.apps set status = 'happy'")
    assert.equal(refusal.code, 'BL003')
  })
})

test('events can not be changed or truncated, and the name of an app can not be changed', async () => {
  for (const statement of ['truncate bloud.apps cascade', 'truncate bloud.events']) {
    assert.equal((await refusalOf(client, statement)).code, 'BL018', statement)
  }
  await client.query(INSERT, ['queued'])
  for (const statement of [
    'delete from bloud.events',
    "update bloud.events set to_status = 'running'",
    "update bloud.apps set name = 'other'",
  ]) {
    assert.equal((await refusalOf(client, statement)).code, 'BL018', statement)
  }
})
