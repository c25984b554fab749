/** Tests of the SQL functions cancel() and uninstall() while an app is queued, active or stopped. */
import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { lead, rebuildAll, refusalOf, session, transitionsOf, value } from '../support/sql.ts'
import { VERB_CATALOG } from '../support/verb-catalog.ts'

let database: TestDatabase
let root: pg.Client
let operator: pg.Client
let attempt: number

beforeEach(async () => {
  await close()
  database = await testDatabase('cancel')
  root = await session(database.url)
  operator = await session(database.urlFor('bloud_operator'))
  attempt = await lead(root, VERB_CATALOG)
})
after(close)

async function close(): Promise<void> {
  await Promise.all([root?.end(), operator?.end()])
  await database?.drop()
}

const status = (app: string): Promise<string | undefined> =>
  value(root, 'select status from bloud.apps where name = $1', [app])
const install = (app: string): Promise<string> => value(operator, 'select id from bloud.install($1)', [app])
const state = (id: string): Promise<string> =>
  value(root, 'select state from bloud.operations where id = $1', [id])

test('a cancel of a queued install ends the install at once and sets the app to failed', async () => {
  const id = await install('flow')
  assert.equal(await value(operator, "select state from bloud.cancel('flow')"), 'cancelled')
  assert.equal(await status('flow'), 'failed')
  assert.equal(await value(root, "select cause ->> 'class' from bloud.apps where name = 'flow'"), 'cancelled')
  assert.equal(await state(id), 'cancelled')
  assert.deepEqual(await transitionsOf(root, 'flow'), ['→queued', 'queued→failed'])
})

test('a cancel of the queued install of a stopped app sets the app to stopped again', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  assert.equal(await status('flow'), 'stopped')
  await install('flow')
  await operator.query("select bloud.cancel('flow')")
  assert.equal(await status('flow'), 'stopped')
})

test('an uninstall of a queued app supersedes the install and deletes the row', async () => {
  const id = await install('flow')
  assert.equal(await value(operator, "select state from bloud.uninstall('flow')"), 'superseded')
  assert.equal(await state(id), 'superseded')
  assert.equal(await status('flow'), undefined)
  assert.deepEqual(await transitionsOf(root, 'flow'), ['→queued', 'queued→'])
})

test('a cancel of an active operation is recorded, and the orchestrator ends the operation later', async () => {
  await install('flow')
  const id = await value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  assert.equal((await refusalOf(operator, "select bloud.uninstall('flow')")).code, 'BL004')
  const operation = await value(operator, "select id from bloud.cancel('flow')")
  assert.equal(await value(operator, "select id from bloud.cancel('flow')"), operation, 'called again')
  assert.equal(await status('flow'), 'configuring')
  const cause = { flow: { class: 'cancelled', message: 'Cancelled on request' } }
  await root.query('select bloud.end_rebuild($1, $2, false, null, null, $3)', [
    attempt,
    id,
    JSON.stringify(cause),
  ])
  assert.equal(await status('flow'), 'failed')
  assert.equal(
    await value(root, 'select state from bloud.operations where id = $1', [operation]),
    'cancelled',
  )
})

test('an app that is starting can not be cancelled, only uninstalled', async () => {
  await install('flow')
  const id = await value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  await root.query("select bloud.begin_run($1, $2, '1')", [attempt, id])
  await root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, id])
  assert.equal((await refusalOf(operator, "select bloud.cancel('flow')")).code, 'BL014')
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  assert.deepEqual((await transitionsOf(root, 'flow')).slice(-2), ['starting→stopping', 'stopping→stopped'])
  assert.equal(await value(root, "select state from bloud.operations where kind = 'install'"), 'superseded')
})

test('a purge deletes the row of a stopped app; an uninstall without purge is refused', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  assert.equal((await refusalOf(operator, "select bloud.uninstall('flow')")).code, 'BL005', 'already stopped')
  await operator.query("select bloud.uninstall('flow', purge => true)")
  await rebuildAll(root, attempt)
  assert.equal(await status('flow'), undefined)
  assert.equal((await transitionsOf(root, 'flow')).at(-1), 'stopped→')
})

test('a cancelled uninstall that was still queued leaves the app active', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await operator.query("select bloud.cancel('flow')")
  assert.equal(await status('flow'), 'error')
  assert.equal(await value(root, "select wanted from bloud.apps where name = 'flow'"), true)
  assert.equal(await value(root, "select bloud.report_health($1, 'flow', true)", [attempt]), 'running')
})

test('the queued purge of a stopped app can be cancelled', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow', purge => true)")
  assert.equal(await value(operator, "select state from bloud.cancel('flow')"), 'cancelled')
  assert.equal(await status('flow'), 'stopped')
})

test('an uninstall can not be cancelled while a dependency of the app is being uninstalled too', async () => {
  await install('disk')
  await install('multi')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('multi')")
  await operator.query("select bloud.uninstall('disk')")
  assert.equal((await refusalOf(operator, "select bloud.cancel('multi')")).code, 'BL014')
  await operator.query("select bloud.cancel('disk')")
  await operator.query("select bloud.cancel('multi')")
  assert.equal(await status('multi'), 'error')
})
