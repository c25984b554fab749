/** Tests that an orchestrator takes the lease of another one that has no session, but not too early. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { openPool, type Pool } from '../../src/db/pool.ts'
import { createLogger } from '../../src/log.ts'
import { createLeaseTaker, type Lease } from '../../src/orchestrator/lease.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { session, value } from '../support/sql.ts'

const LIMIT_MS = 60_000
const HOLDER = 'one:1:a'
const ME = { worker: 'two:1:b', folder: 'folder', predecessorEnded: false }

let database: TestDatabase
let pool: Pool
let root: pg.Client
let clock = 0
let taken: Lease | undefined

before(async () => {
  database = await testDatabase('lease_taker')
  root = await session(database.url)
  pool = await openPool(database.urlFor('bloud_orchestrator'), 'test', 2)
})
after(async () => {
  await taken?.release()
  await pool.end()
  await root.end()
  await database.drop()
})
beforeEach(async () => {
  await taken?.release()
  await root.query('update bloud.lease set lease_until = null')
  await root.query("select bloud.acquire_lease($1, 60, 'folder')", [HOLDER])
})

async function connectHolder(): Promise<() => Promise<void>> {
  const client = await session(database.url)
  const name = `bloud-orchestrator-${HOLDER}`
  await client.query("select set_config('application_name', $1, false)", [name])
  return async () => {
    await client.end()
    const isGone = () => value<boolean>(root, 'select not bloud.is_connected($1)', [HOLDER])
    assert.ok(await pollUntil(isGone, LIMIT_MS))
  }
}

/** Returns a function that tries to take the lease at a time in seconds. It returns true on success. */
function candidate(): (seconds: number) => Promise<boolean> {
  const log = createLogger('test', 'silent')
  const take = createLeaseTaker({ pool, log, renew: async () => undefined, now: () => clock })
  return async (seconds) => {
    clock = seconds * 1000
    taken = await take(ME)
    return taken !== undefined
  }
}

test('the lease of a holder without a session is taken after some seconds, and not at once', async () => {
  const take = candidate()
  assert.equal(await take(0), false)
  assert.equal(await take(0.2), false, 'woken by a notification')
  assert.equal(await take(4), true)
  assert.equal(await value(root, 'select worker from bloud.lease'), ME.worker)
})

test('a holder with a session keeps the lease', async () => {
  const disconnect = await connectHolder()
  const take = candidate()
  for (const seconds of [0, 4, 8, 12]) assert.equal(await take(seconds), false)
  await disconnect()
  assert.equal(await take(16), false, 'the holder may come back')
  assert.equal(await take(20), true)
})

test('a holder that is connected again in time keeps the lease', async () => {
  const take = candidate()
  assert.equal(await take(0), false)
  const disconnect = await connectHolder()
  assert.equal(await take(4), false)
  await disconnect()
  assert.equal(await take(8), false, 'the time without a session begins again')
  assert.equal(await take(12), true)
})

test('the time in which the database does not answer is no time without a session', async () => {
  const take = candidate()
  assert.equal(await take(0), false)
  await root.query('alter function bloud.acquire_lease rename to acquire_lease_later')
  await assert.rejects(take(4))
  await root.query('alter function bloud.acquire_lease_later rename to acquire_lease')
  assert.equal(await take(8), false, 'the holder had no time to connect')
  assert.equal(await take(12), true)
})
