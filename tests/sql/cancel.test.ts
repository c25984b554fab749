/** Tests of the SQL functions cancel() and uninstall() while an app is queued, active or stopped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rebuildAll, refusalOf, transitionsOf, value } from '../support/sql.ts'
import { VERB_CATALOG } from '../support/verb-catalog.ts'
import { useDatabase } from './support.ts'

const db = useDatabase('cancel', VERB_CATALOG)

const status = (app: string): Promise<string | undefined> =>
  value(db.root, 'select status from bloud.apps where name = $1', [app])
const install = (app: string): Promise<string> =>
  value(db.operator, 'select id from bloud.install($1)', [app])
const state = (id: string): Promise<string> =>
  value(db.root, 'select state from bloud.operations where id = $1', [id])

test('a cancel of a queued install ends the install at once and sets the app to failed', async () => {
  const id = await install('flow')
  assert.equal(await value(db.operator, "select state from bloud.cancel('flow')"), 'cancelled')
  assert.equal(await status('flow'), 'failed')
  assert.equal(
    await value(db.root, "select cause ->> 'class' from bloud.apps where name = 'flow'"),
    'cancelled',
  )
  assert.equal(await state(id), 'cancelled')
  assert.deepEqual(await transitionsOf(db.root, 'flow'), ['→queued', 'queued→failed'])
})

test('a cancel of the queued install of a stopped app sets the app to stopped again', async () => {
  await install('flow')
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('flow')")
  await rebuildAll(db.root, db.attempt)
  assert.equal(await status('flow'), 'stopped')
  await install('flow')
  await db.operator.query("select bloud.cancel('flow')")
  assert.equal(await status('flow'), 'stopped')
})

test('an uninstall of a queued app supersedes the install and deletes the row', async () => {
  const id = await install('flow')
  assert.equal(await value(db.operator, "select state from bloud.uninstall('flow')"), 'superseded')
  assert.equal(await state(id), 'superseded')
  assert.equal(await status('flow'), undefined)
  assert.deepEqual(await transitionsOf(db.root, 'flow'), ['→queued', 'queued→'])
})

test('a cancel of an active operation is recorded, and the orchestrator ends the operation later', async () => {
  await install('flow')
  const id = await value(db.root, 'select id from bloud.claim_rebuild($1, 60)', [db.attempt])
  assert.equal((await refusalOf(db.operator, "select bloud.uninstall('flow')")).code, 'BL004')
  const operation = await value(db.operator, "select id from bloud.cancel('flow')")
  assert.equal(await value(db.operator, "select id from bloud.cancel('flow')"), operation, 'called again')
  assert.equal(await status('flow'), 'configuring')
  const cause = { flow: { class: 'cancelled', message: 'Cancelled on request' } }
  await db.root.query('select bloud.end_rebuild($1, $2, false, null, null, $3)', [
    db.attempt,
    id,
    JSON.stringify(cause),
  ])
  assert.equal(await status('flow'), 'failed')
  assert.equal(
    await value(db.root, 'select state from bloud.operations where id = $1', [operation]),
    'cancelled',
  )
})

test('a cancel of which the activation learned too late is removed, and the operation has a warning', async () => {
  await install('flow')
  const id = await value(db.root, 'select id from bloud.claim_rebuild($1, 60)', [db.attempt])
  await db.root.query("select bloud.begin_run($1, $2, '1')", [db.attempt, id])
  await db.operator.query("select bloud.cancel('flow')")
  await db.root.query('select bloud.begin_activation($1, $2)', [db.attempt, id])
  const { rows } = await db.root.query('select cancel_requested_at, warnings from bloud.operations')
  assert.equal(rows[0].cancel_requested_at, null)
  assert.match(String(rows[0].warnings), /^The cancel came too late/)
})

test('an app that is starting can not be cancelled, only uninstalled', async () => {
  await install('flow')
  const id = await value(db.root, 'select id from bloud.claim_rebuild($1, 60)', [db.attempt])
  await db.root.query("select bloud.begin_run($1, $2, '1')", [db.attempt, id])
  await db.root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [db.attempt, id])
  assert.equal((await refusalOf(db.operator, "select bloud.cancel('flow')")).code, 'BL014')
  await db.operator.query("select bloud.uninstall('flow')")
  await rebuildAll(db.root, db.attempt)
  assert.deepEqual((await transitionsOf(db.root, 'flow')).slice(-2), [
    'starting→stopping',
    'stopping→stopped',
  ])
  assert.equal(
    await value(db.root, "select state from bloud.operations where kind = 'install'"),
    'superseded',
  )
})

test('a purge deletes the row of a stopped app; an uninstall without purge is refused', async () => {
  await install('flow')
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('flow')")
  await rebuildAll(db.root, db.attempt)
  assert.equal(
    (await refusalOf(db.operator, "select bloud.uninstall('flow')")).code,
    'BL005',
    'already stopped',
  )
  await db.operator.query("select bloud.uninstall('flow', purge => 'flow')")
  await rebuildAll(db.root, db.attempt)
  assert.equal(await status('flow'), undefined)
  assert.equal((await transitionsOf(db.root, 'flow')).at(-1), 'stopped→')
})

test('a cancelled uninstall that was still queued leaves the app active', async () => {
  await install('flow')
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('flow')")
  await db.operator.query("select bloud.cancel('flow')")
  assert.equal(await status('flow'), 'error')
  assert.equal(await value(db.root, "select wanted from bloud.apps where name = 'flow'"), true)
  assert.equal(await value(db.root, "select bloud.report_health($1, 'flow', true)", [db.attempt]), 'running')
})

test('the queued purge of a stopped app can be cancelled', async () => {
  await install('flow')
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('flow')")
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('flow', purge => 'flow')")
  assert.equal(await value(db.operator, "select state from bloud.cancel('flow')"), 'cancelled')
  assert.equal(await status('flow'), 'stopped')
})

test('an uninstall can not be cancelled while a dependency of the app is being uninstalled too', async () => {
  await install('disk')
  await install('multi')
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('multi')")
  await db.operator.query("select bloud.uninstall('disk')")
  assert.equal((await refusalOf(db.operator, "select bloud.cancel('multi')")).code, 'BL014')
  await db.operator.query("select bloud.cancel('disk')")
  await db.operator.query("select bloud.cancel('multi')")
  assert.equal(await status('multi'), 'error')
})
