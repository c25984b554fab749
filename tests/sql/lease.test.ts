/** Tests of the lease of a worker without a session, and of a data folder that was copied. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { pollUntil } from '../../src/system/timeout.ts'
import { entry, session, value } from '../support/sql.ts'
import { useDatabase } from './support.ts'

const LIMIT_MS = 60_000
const WORKER = 'one:1:a'
const db = useDatabase('lease', [entry('a')])

/** Opens a session as the worker does, in which the worker has the lease of the folder "folder". */
async function leadAs(worker: string): Promise<pg.Client> {
  await db.root.query('select bloud.release_lease($1)', [db.attempt])
  const client = await session(db.database.url)
  await client.query("select set_config('application_name', $1, false)", [`bloud-orchestrator-${worker}`])
  assert.ok(await take(worker, false, client))
  return client
}

const take = (worker: string, predecessorEnded: boolean, client = db.root): Promise<string | null> =>
  value(client, "select bloud.acquire_lease($1, 60, 'folder', $2)", [worker, predecessorEnded])

const problemOf = async (machine: string, folder = 'folder'): Promise<string | null> => {
  const { message } = await value<{ message: string | null }>(
    db.root,
    'select bloud.pair_folder($1, null, $2)',
    [folder, machine],
  )
  return message
}

async function isGone(worker: string): Promise<void> {
  const text = 'select count(*)::int from pg_stat_activity where application_name = $1'
  const gone = async () =>
    (await value<number>(db.root, text, [`bloud-orchestrator-${worker}`])) === 0 || undefined
  assert.ok(await pollUntil(gone, LIMIT_MS))
}

test('a worker whose predecessor of the same machine has ended takes the lease at once', async () => {
  await db.root.query("select bloud.pair_folder('folder', null, 'one')")
  const client = await leadAs(WORKER)
  assert.equal(await take('one:2:b', false), null)
  assert.equal(await take('one:2:b', true), null, 'the predecessor is still connected')
  await client.end()
  await isGone(WORKER)
  assert.ok(await take('one:2:b', true))
})

test('a copied data folder on another machine does not take the lease of the original', async () => {
  await db.root.query("select bloud.pair_folder('folder', null, 'one')")
  const client = await leadAs(WORKER)
  assert.equal(await take('two:1:b', true), null)
  await client.end()
  await isGone(WORKER)
  assert.equal(await take('two:1:b', true), null, 'the original machine may be only disconnected')
})

test('a copied data folder is refused with a sentence while the orchestrator of the original works', async () => {
  await db.root.query("select bloud.pair_folder('folder', null, 'one')")
  const client = await leadAs(WORKER)
  assert.equal(await problemOf('one'), null)
  assert.match(`${await problemOf('two')}`, /orchestrator of one works with the same data folder/)
  assert.match(`${await problemOf('two', 'other')}`, /belongs to the data folder of one/)
  await client.end()
  await isGone(WORKER)
  assert.equal(await problemOf('two'), null, 'a folder that has moved to new hardware is accepted')
})

const takeFrom = (gone: string): Promise<string | null> =>
  value(db.root, "select bloud.acquire_lease('one:2:b', 60, 'folder', false, $1)", [gone])

test('the lease of a worker without a session can be taken before it ends, that of a connected one never', async () => {
  const client = await leadAs(WORKER)
  assert.equal(await value(db.root, 'select bloud.gone_holder()'), null)
  assert.equal(await takeFrom(WORKER), null, 'the holder is connected')
  await client.end()
  await isGone(WORKER)
  assert.equal(await value(db.root, 'select bloud.gone_holder()'), WORKER)
  assert.equal(await takeFrom('one:3:c'), null, 'another worker was found to be gone')
  assert.ok(await takeFrom(WORKER))
  assert.equal(await value(db.root, 'select bloud.gone_holder()'), 'one:2:b')
})

test('a worker sees whether the holder is connected, whatever roles the two have', async () => {
  const orchestrator = await session(db.database.urlFor('bloud_orchestrator'))
  const relay = await session(db.database.urlFor('bloud_relay'))
  const name = `bloud-orchestrator-${WORKER}`
  for (const url of [
    db.database.url,
    db.database.urlFor('bloud_orchestrator'),
    db.database.urlFor('bloud_psql'),
  ]) {
    const holder = await session(url)
    await holder.query("select set_config('application_name', $1, false)", [name])
    await db.root.query('update bloud.lease set worker = $1', [WORKER])
    for (const client of [orchestrator, relay])
      assert.equal(await value(client, 'select bloud.is_connected($1)', [WORKER]), true, url)
    assert.equal(await value(orchestrator, 'select bloud.gone_holder()'), null)
    await holder.end()
    await isGone(WORKER)
    assert.equal(await value(orchestrator, 'select bloud.gone_holder()'), WORKER)
  }
  await orchestrator.end()
  await relay.end()
})
