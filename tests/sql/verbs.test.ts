import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, moves, rebuildAll, refusalOf, session, value, waitingForLock } from '../support/sql.ts'

const CATALOG = [
  entry('flow', { port: 1880 }),
  entry('rival', { port: 1880 }),
  entry('container', { unavailable: 'It is published as a container image only.' }),
  entry('db', { port: 5432, isSystem: true }),
  entry('reader', {
    integrations: { database: { required: true, compatible: [{ app: 'db', default: true }] } },
  }),
  entry('reader2', {
    integrations: { database: { required: true, compatible: [{ app: 'db', default: true }] } },
  }),
  entry('picky', {
    integrations: { store: { required: true, compatible: [{ app: 'disk' }, { app: 'cloud' }] } },
  }),
  entry('multi', {
    integrations: {
      stores: { required: true, multi: true, compatible: [{ app: 'disk', default: true }, { app: 'cloud' }] },
    },
  }),
  entry('both', {
    integrations: {
      flows: { required: true, multi: true, compatible: [{ app: 'flow', default: true }, { app: 'rival' }] },
    },
  }),
  entry('disk'),
  entry('cloud'),
  entry('hen', { integrations: { egg: { required: true, compatible: [{ app: 'egg', default: true }] } } }),
  entry('egg', { integrations: { hen: { required: true, compatible: [{ app: 'hen', default: true }] } } }),
]

let database: TestDatabase
let root: pg.Client
let operator: pg.Client
let attempt: number

beforeEach(async () => {
  await close()
  database = await testDatabase('verbs')
  root = await session(database.url)
  operator = await session(database.urlFor('bloud_operator'))
  attempt = await lead(root, CATALOG)
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

async function nothingWritten(): Promise<void> {
  assert.equal(await value(root, 'select count(*)::int from bloud.operations'), 0)
  assert.equal(await value(root, 'select count(*)::int from bloud.apps'), 0)
}

test('a refused install says why and what to do, and writes nothing', async () => {
  const cases: [string, string, RegExp][] = [
    ["select bloud.install('nope')", 'BL001', /no app nope/],
    ["select bloud.install('No Way!')", 'BL002', /can't be the name/],
    ['select bloud.install(null)', 'BL002', /can't be the name/],
    [`select bloud.install('${'x'.repeat(64)}')`, 'BL002', /can't be the name/],
    ["select bloud.install('container')", 'BL006', /can't be installed on this machine/],
    ["select bloud.install('picky')", 'BL007', /needs a choice for store/],
    [`select bloud.install('picky', '{"choices":{"store":"flow"}}')`, 'BL008', /can't use flow for store/],
    [
      `select bloud.install('picky', '{"choices":{"store":["disk","cloud"]}}')`,
      'BL008',
      /can't use disk, cloud/,
    ],
    ["select bloud.install('hen')", 'BL009', /hen needs itself/],
    [
      `select bloud.install('both', '{"choices":{"flows":["flow","rival"]}}')`,
      'BL012',
      /flow and rival would all use port 1880/,
    ],
    [`select bloud.install('flow', '{"choces":{}}')`, 'BL017', /options can't be used/],
    [`select bloud.install('flow', '[]')`, 'BL017', /options can't be used/],
    [
      "select bloud.install('flow', jsonb_build_object('choices', jsonb_build_object(repeat('x', 10000), 'disk')))",
      'BL017',
      /options can't be used/,
    ],
    [`select bloud.install('flow', '{"choices":{"a":1}}')`, 'BL017', /options can't be used/],
    ["select bloud.uninstall('flow')", 'BL005', /flow is not installed/],
    ["select bloud.cancel('flow')", 'BL013', /Nothing is on its way/],
    ["select bloud.retry('flow')", 'BL005', /flow is not installed/],
  ]
  for (const [statement, code, message] of cases) {
    const refusal = await refusalOf(operator, statement)
    assert.equal(refusal.code, code, statement)
    assert.match(refusal.message, message)
    assert.ok(refusal.hint, `${statement} has no hint`)
  }
  await nothingWritten()
})

test('asking twice gets the operation that is already on its way', async () => {
  const first = await install('flow')
  assert.equal(await install('flow'), first)
  await rebuildAll(root, attempt)
  const removal = await value(operator, "select id from bloud.uninstall('flow')")
  assert.equal(await value(operator, "select id from bloud.uninstall('flow')"), removal)
  assert.equal(
    await value(operator, "select purge from bloud.uninstall('flow', true)"),
    true,
    'still queued: upgraded',
  )
})

test('a removal that waits is not made a purge by asking for null', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow', null)")
  assert.equal(await value(operator, "select purge from bloud.uninstall('flow', null)"), false)
})

test('a name that can not be seen, or turns the text around it, is refused', async () => {
  await install('flow')
  for (const name of ['', '   ', '\u200B\uFEFF', 'abc\u202Edef', 'a\nb', 'x'.repeat(81)]) {
    assert.equal(
      (await refusalOf(operator, 'select bloud.rename($1, $2)', ['flow', name])).code,
      'BL017',
      name,
    )
  }
  for (const name of ['Rosis Fluß 🏡', '👩‍🚀', 'جریان', 'x'.repeat(80)]) {
    await operator.query('select bloud.rename($1, $2)', ['flow', name])
    assert.equal(await value(root, 'select display_name from bloud.apps'), name)
  }
})

test('two people who ask at once get the same operation', async () => {
  const others = await Promise.all(
    Array.from({ length: 8 }, () => session(database.urlFor('bloud_operator'))),
  )
  const ids = await Promise.all(others.map((each) => value(each, "select id from bloud.install('flow')")))
  assert.equal(new Set(ids).size, 1)
  await Promise.all(others.map((each) => each.end()))
})

/** What `second` is told, asked while `first` is in an open transaction of somebody else, who then commits. */
async function whileOpen(first: string, second: string): Promise<string> {
  const holder = await session(database.urlFor('bloud_operator'))
  await holder.query(`begin; ${first}`)
  const waiting = refusalOf(operator, second)
  await waitingForLock(root)
  await holder.query('commit')
  await holder.end()
  return (await waiting).code
}

test('what somebody is about to build on is not removed under it', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  assert.equal(await whileOpen("select bloud.install('picky')", "select bloud.uninstall('disk')"), 'BL010')
})

test('an install and a retry of the same app at once never wait for each other', async () => {
  await install('multi') // with disk, whose name comes first
  await root.query(
    "select bloud.sweep($1) from set_config('bloud.clock', (now() + interval '25 hours')::text, false)",
    [attempt],
  )
  const holder = await session(database.urlFor('bloud_operator'))
  await holder.query("begin; select bloud.install('disk')")
  const retried = value(operator, "select id from bloud.retry('multi')")
  await waitingForLock(root)
  await holder.query("set lock_timeout = '2s'; select bloud.install('multi')") // in the same order: disk, then multi
  await holder.query('commit')
  await retried
  await holder.end()
})

test('what somebody is about to remove is not built on', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  assert.equal(await whileOpen("select bloud.uninstall('disk')", "select bloud.install('multi')"), 'BL004')
})

test('two people at once can not install two apps on one port', async () => {
  assert.equal(await whileOpen("select bloud.install('flow')", "select bloud.install('rival')"), 'BL012')
})

test('an install in an open transaction keeps no other waiting, not even on the same need', async () => {
  await install('db')
  await rebuildAll(root, attempt)
  const holder = await session(database.urlFor('bloud_operator'))
  await holder.query("begin; select bloud.install('reader')")
  await operator.query("set lock_timeout = '2s'")
  await install('reader2')
  await root.query("set lock_timeout = '2s'")
  await rebuildAll(root, attempt)
  await root.query("select bloud.report_health($1, 'db', false, '{}')", [attempt])
  assert.deepEqual(
    [await status('reader2'), await status('db'), await status('reader')],
    ['running', 'error', undefined],
  )
  await holder.query('rollback')
  await holder.end()
})

test('a transaction that does not see what others did since it began can not ask for anything', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  for (const level of ['repeatable read', 'serializable']) {
    const late = await session(database.urlFor('bloud_operator'))
    await late.query(`begin isolation level ${level}; select status from bloud.apps`)
    await install('picky')
    const refusal = await refusalOf(late, "select bloud.uninstall('disk')")
    assert.equal(refusal.code, 'BL019', level)
    assert.ok(refusal.hint)
    await late.end()
  }
})

test('an open transaction that holds an app can not be forgotten', async () => {
  const limit = async (): Promise<unknown> => value(operator, 'show idle_in_transaction_session_timeout')
  await operator.query("begin; select bloud.install('flow')")
  assert.equal(await limit(), '1min')
  await operator.query('rollback')
  assert.equal(await limit(), '0')
  await operator.query("set idle_in_transaction_session_timeout = '5s'; begin; select bloud.install('flow')")
  assert.equal(await limit(), '5s', 'a shorter limit is kept')
  await operator.query('rollback')
})

test('an install brings what it needs, and what others require stays', async () => {
  await install('reader')
  assert.deepEqual(
    (
      await root.query(
        'select app, requested_for is not null as dependency from bloud.operations order by app',
      )
    ).rows,
    [
      { app: 'db', dependency: true },
      { app: 'reader', dependency: false },
    ],
  )
  await rebuildAll(root, attempt)
  assert.equal(await status('db'), 'running')
  assert.deepEqual(await value(root, "select integration_config from bloud.apps where name = 'reader'"), {
    database: ['db'],
  })
  assert.equal((await refusalOf(operator, "select bloud.uninstall('db')")).code, 'BL011')
  await root.query("update bloud.apps set is_system = false where name = 'db'")
  const refusal = await refusalOf(operator, "select bloud.uninstall('db')")
  assert.equal(refusal.code, 'BL010')
  assert.match(refusal.message, /required by reader/)
})

test('one installed compatible app is used without asking, several are a choice unless all can be used', async () => {
  await install('disk')
  await rebuildAll(root, attempt)
  await install('picky')
  assert.deepEqual(await value(root, "select integration_config from bloud.apps where name = 'picky'"), {
    store: ['disk'],
  })
  await operator.query("select bloud.cancel('picky')")
  await root.query("delete from bloud.apps where name = 'picky'")
  await install('cloud')
  assert.equal((await refusalOf(operator, "select bloud.install('picky')")).code, 'BL007')
  await install('multi')
  assert.deepEqual(await value(root, "select integration_config from bloud.apps where name = 'multi'"), {
    stores: ['cloud', 'disk'],
  })
})

test('a port that another app uses is refused before anything is written', async () => {
  await install('flow')
  const refusal = await refusalOf(operator, "select bloud.install('rival')")
  assert.equal(refusal.code, 'BL012')
  assert.equal(await status('rival'), undefined)
})

test('a running app is neither installed nor retried again', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  assert.equal((await refusalOf(operator, "select bloud.install('flow')")).code, 'BL020')
  assert.equal((await refusalOf(operator, "select bloud.retry('flow')")).code, 'BL015')
})

test('cancelling a queued install ends it at once as failed, with the cause', async () => {
  const id = await install('flow')
  assert.equal(await value(operator, "select state from bloud.cancel('flow')"), 'cancelled')
  assert.equal(await status('flow'), 'failed')
  assert.equal(await value(root, "select cause ->> 'class' from bloud.apps where name = 'flow'"), 'cancelled')
  assert.equal(await state(id), 'cancelled')
  assert.deepEqual(await moves(root, 'flow'), ['→queued', 'queued→failed'])
})

test('cancelling the second install of an app that was on before leaves it stopped', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  assert.equal(await status('flow'), 'stopped')
  await install('flow')
  await operator.query("select bloud.cancel('flow')")
  assert.equal(await status('flow'), 'stopped')
})

test('uninstalling what is still queued cancels both out and leaves nothing', async () => {
  const id = await install('flow')
  assert.equal(await value(operator, "select state from bloud.uninstall('flow')"), 'superseded')
  assert.equal(await state(id), 'superseded')
  assert.equal(await status('flow'), undefined)
  assert.deepEqual(await moves(root, 'flow'), ['→queued', 'queued→'])
})

test('a cancel of work in progress is noted, and carried out by whoever does the work', async () => {
  await install('flow')
  const id = await value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  assert.equal((await refusalOf(operator, "select bloud.uninstall('flow')")).code, 'BL004')
  const operation = await value(operator, "select id from bloud.cancel('flow')")
  assert.equal(await value(operator, "select id from bloud.cancel('flow')"), operation, 'asking twice')
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

test('what is already starting can not be cancelled, only uninstalled', async () => {
  await install('flow')
  const id = await value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  await root.query("select bloud.begin_run($1, $2, '1')", [attempt, id])
  await root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, id])
  assert.equal((await refusalOf(operator, "select bloud.cancel('flow')")).code, 'BL014')
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  assert.deepEqual((await moves(root, 'flow')).slice(-2), ['starting→stopping', 'stopping→stopped'])
  assert.equal(await value(root, "select state from bloud.operations where kind = 'install'"), 'superseded')
})

test('purge deletes the row, from running and from stopped', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  assert.equal((await refusalOf(operator, "select bloud.uninstall('flow')")).code, 'BL005', 'already off')
  await operator.query("select bloud.uninstall('flow', purge => true)")
  await rebuildAll(root, attempt)
  assert.equal(await status('flow'), undefined)
  assert.equal((await moves(root, 'flow')).at(-1), 'stopped→')
})

test('a cancelled removal that had not begun leaves the app on', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await operator.query("select bloud.cancel('flow')")
  assert.equal(await status('flow'), 'error')
  assert.equal(await value(root, "select wanted from bloud.apps where name = 'flow'"), true)
  assert.equal(await value(root, "select bloud.report_health($1, 'flow', true)", [attempt]), 'running')
})

test('deleting the data of an app that is off can be cancelled while it waits', async () => {
  await install('flow')
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow')")
  await rebuildAll(root, attempt)
  await operator.query("select bloud.uninstall('flow', purge => true)")
  assert.equal(await value(operator, "select state from bloud.cancel('flow')"), 'cancelled')
  assert.equal(await status('flow'), 'stopped')
})

test('a removal is not taken back when what the app needs is removed too', async () => {
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

test('the controls of an app are what its verbs would answer', async () => {
  const verbs = {
    install: 'install',
    retry: 'retry',
    cancel: 'cancel',
    uninstall: 'uninstall',
    purge: 'uninstall',
  }
  await install('flow')
  for (const step of ['queued', 'running', 'stopped']) {
    const controls = await value<
      Record<string, { allowed: boolean; code: string | null; reason: string | null }>
    >(root, "select controls from bloud.app_status where name = 'flow'")
    for (const [control, verb] of Object.entries(verbs)) {
      const told = controls[control]
      if (told?.allowed || told?.code === 'BL004') continue // BL004: the verb answers with the operation on its way
      const purge = control === 'purge' ? ', true' : ''
      const refusal = await refusalOf(operator, `select bloud.${verb}('flow'${purge})`)
      assert.deepEqual([refusal.code, refusal.message], [told?.code, told?.reason], `${step}: ${control}`)
    }
    if (step === 'running') await operator.query("select bloud.uninstall('flow')")
    await rebuildAll(root, attempt)
  }
})

test('who asked and from where comes from the session', async () => {
  await install('flow')
  await operator.query("set bloud.origin = 'web'") // an operator can't speak as the page
  await install('disk')
  const relay = await session(database.urlFor('bloud_relay'))
  await relay.query("begin; set local role bloud_operator; set local bloud.origin = 'web'")
  await relay.query("select bloud.install('cloud')")
  await relay.query('commit')
  await relay.end()
  const { rows } = await root.query('select app, actor, origin from bloud.events order by seq')
  assert.deepEqual(rows, [
    { app: 'flow', actor: 'bloud_operator', origin: 'psql' },
    { app: 'disk', actor: 'bloud_operator', origin: 'psql' },
    { app: 'cloud', actor: 'bloud_operator', origin: 'web' },
  ])
})

test('an operator writes no table, and a viewer calls no verb', async () => {
  for (const statement of [
    "update bloud.apps set status = 'running'",
    'delete from bloud.events',
    'select bloud.sweep(1)',
  ]) {
    assert.equal((await refusalOf(operator, statement)).code, '42501', statement)
  }
  const relay = await session(database.urlFor('bloud_relay'))
  assert.equal(
    (await refusalOf(relay, "select bloud.install('flow')")).code,
    '42501',
    'not without assuming the role',
  )
  await relay.end()
})
