/**
 * Tests of the SQL functions install(), retry(), rename() and uninstall(): results, errors and privileges.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { rebuildAll, refusalOf, session, value } from '../support/sql.ts'
import { VERB_CATALOG } from '../support/verb-catalog.ts'
import { useDatabase } from './support.ts'

const db = useDatabase('verbs', VERB_CATALOG)

const status = (app: string): Promise<string | undefined> =>
  value(db.root, 'select status from bloud.apps where name = $1', [app])
const install = (app: string): Promise<string> =>
  value(db.operator, 'select id from bloud.install($1)', [app])

async function nothingWritten(): Promise<void> {
  assert.equal(await value(db.root, 'select count(*)::int from bloud.operations'), 0)
  assert.equal(await value(db.root, 'select count(*)::int from bloud.apps'), 0)
}

test('a refused verb gives a message and a hint, and writes nothing', async () => {
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
    ["select bloud.install('hen')", 'BL009', /hen depends on itself/],
    [
      `select bloud.install('both', '{"choices":{"flows":["flow","rival"]}}')`,
      'BL012',
      /flow and rival would all use port 1880/,
    ],
    [`select bloud.install('flow', '{"choces":{}}')`, 'BL017', /options can't be used/],
    [`select bloud.install('flow', '[]')`, 'BL017', /options can't be used/],
    [
      `select bloud.install('flow',
        jsonb_build_object('choices', jsonb_build_object(repeat('x', 10000), 'disk')))`,
      'BL017',
      /options can't be used/,
    ],
    [`select bloud.install('flow', '{"choices":{"a":1}}')`, 'BL017', /options can't be used/],
    ["select bloud.uninstall('flow')", 'BL005', /flow is not installed/],
    ["select bloud.cancel('flow')", 'BL013', /There is nothing to cancel/],
    ["select bloud.retry('flow')", 'BL005', /flow is not installed/],
  ]
  for (const [statement, code, message] of cases) {
    const refusal = await refusalOf(db.operator, statement)
    assert.equal(refusal.code, code, statement)
    assert.match(refusal.message, message)
    assert.ok(refusal.hint, `${statement} has no hint`)
  }
  await nothingWritten()
})

test('a verb called again returns the operation that is already open', async () => {
  const first = await install('flow')
  assert.equal(await install('flow'), first)
  await rebuildAll(db.root, db.attempt)
  const uninstall = await value(db.operator, "select id from bloud.uninstall('flow')")
  assert.equal(await value(db.operator, "select id from bloud.uninstall('flow')"), uninstall)
  assert.equal(
    await value(db.operator, "select purge from bloud.uninstall('flow', 'flow')"),
    true,
    'a queued uninstall becomes a purge',
  )
})

test('a purge is refused unless it names the app itself, also in a statement over all apps', async () => {
  for (const app of ['flow', 'disk']) await install(app)
  await rebuildAll(db.root, db.attempt)
  for (const statement of [
    'select bloud.uninstall(name, purge => true) from bloud.apps',
    "select bloud.uninstall(name, purge => 'true') from bloud.apps",
    "select bloud.uninstall(name, purge => 'flow') from bloud.apps where name <> 'flow'",
    "select bloud.uninstall('flow', true)",
    "select bloud.uninstall('flow', '')",
  ]) {
    const refusal = await refusalOf(db.operator, statement)
    assert.equal(refusal.code, 'BL017', statement)
    assert.match(refusal.hint ?? '', /bloud\.uninstall\('(flow|disk)', purge => '\1'\)/, statement)
  }
  assert.equal(
    Number(await value(db.root, "select count(*) from bloud.operations where kind = 'uninstall'")),
    0,
  )
  assert.equal(await value(db.operator, "select purge from bloud.uninstall('disk', false)"), false)
})

test('a queued uninstall does not become a purge when purge is null', async () => {
  await install('flow')
  await rebuildAll(db.root, db.attempt)
  await db.operator.query("select bloud.uninstall('flow', null)")
  assert.equal(await value(db.operator, "select purge from bloud.uninstall('flow', null)"), false)
})

test('a display name that is invisible or changes the direction of other text is refused', async () => {
  await install('flow')
  for (const name of ['', '   ', '\u200B\uFEFF', 'abc\u202Edef', 'a\nb', 'x'.repeat(81)]) {
    assert.equal(
      (await refusalOf(db.operator, 'select bloud.rename($1, $2)', ['flow', name])).code,
      'BL017',
      name,
    )
  }
  for (const name of ['Rosis Fluß 🏡', '👩‍🚀', 'جریان', 'x'.repeat(80)]) {
    await db.operator.query('select bloud.rename($1, $2)', ['flow', name])
    assert.equal(await value(db.root, 'select display_name from bloud.apps'), name)
  }
})

test('an install includes dependencies, which can not be uninstalled while they are required', async () => {
  await install('reader')
  assert.deepEqual(
    (
      await db.root.query(
        'select app, requested_for is not null as dependency from bloud.operations order by app',
      )
    ).rows,
    [
      { app: 'db', dependency: true },
      { app: 'reader', dependency: false },
    ],
  )
  await rebuildAll(db.root, db.attempt)
  assert.equal(await status('db'), 'running')
  assert.deepEqual(await value(db.root, "select integration_config from bloud.apps where name = 'reader'"), {
    database: ['db'],
  })
  assert.equal((await refusalOf(db.operator, "select bloud.uninstall('db')")).code, 'BL011')
  await db.root.query("update bloud.apps set is_system = false where name = 'db'")
  const refusal = await refusalOf(db.operator, "select bloud.uninstall('db')")
  assert.equal(refusal.code, 'BL010')
  assert.match(refusal.message, /required by reader/)
})

test('a slot uses the only compatible app installed; several such apps need a choice or a multi slot', async () => {
  await install('disk')
  await rebuildAll(db.root, db.attempt)
  await install('picky')
  assert.deepEqual(await value(db.root, "select integration_config from bloud.apps where name = 'picky'"), {
    store: ['disk'],
  })
  await db.operator.query("select bloud.cancel('picky')")
  await db.root.query("delete from bloud.apps where name = 'picky'")
  await install('cloud')
  assert.equal((await refusalOf(db.operator, "select bloud.install('picky')")).code, 'BL007')
  await install('multi')
  assert.deepEqual(await value(db.root, "select integration_config from bloud.apps where name = 'multi'"), {
    stores: ['cloud', 'disk'],
  })
})

test('an app whose port another app uses is refused before anything is written', async () => {
  await install('flow')
  const refusal = await refusalOf(db.operator, "select bloud.install('rival')")
  assert.equal(refusal.code, 'BL012')
  assert.equal(await status('rival'), undefined)
})

test('install and retry of a running app are refused', async () => {
  await install('flow')
  await rebuildAll(db.root, db.attempt)
  assert.equal((await refusalOf(db.operator, "select bloud.install('flow')")).code, 'BL020')
  assert.equal((await refusalOf(db.operator, "select bloud.retry('flow')")).code, 'BL015')
})

test('the controls of an app have the code and message of the errors that its verbs raise', async () => {
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
    >(db.root, "select controls from bloud.app_status where name = 'flow'")
    for (const [control, verb] of Object.entries(verbs)) {
      const shown = controls[control]
      // BL004 (busy) is skipped, because a repeated call returns the open operation instead of this error.
      if (shown?.allowed || shown?.code === 'BL004') continue
      const purge = control === 'purge' ? ", 'flow'" : ''
      const refusal = await refusalOf(db.operator, `select bloud.${verb}('flow'${purge})`)
      assert.deepEqual([refusal.code, refusal.message], [shown?.code, shown?.reason], `${step}: ${control}`)
    }
    if (step === 'running') await db.operator.query("select bloud.uninstall('flow')")
    await rebuildAll(db.root, db.attempt)
  }
})

test('the events of a verb have the actor and the origin of the session', async () => {
  await install('flow')
  await db.operator.query("set bloud.origin = 'web'") // has no effect, because only the relay may set the origin
  await install('disk')
  const relay = await session(db.database.urlFor('bloud_relay'))
  await relay.query("begin; set local role bloud_operator; set local bloud.origin = 'web'")
  await relay.query("select bloud.install('cloud')")
  await relay.query('commit')
  await relay.end()
  const { rows } = await db.root.query('select app, actor, origin from bloud.events order by seq')
  assert.deepEqual(rows, [
    { app: 'flow', actor: 'bloud_psql', origin: 'psql' },
    { app: 'disk', actor: 'bloud_psql', origin: 'psql' },
    { app: 'cloud', actor: 'bloud_operator', origin: 'web' },
  ])
})

test('after set role, the actor is still the login of the person', async (t) => {
  const ann = `ann_${randomBytes(4).toString('hex')}`
  await db.root.query(`create role ${ann} login password '${ann}' in role bloud_operator`)
  const url = new URL(db.database.url)
  url.username = ann
  url.password = ann
  const client = await session(url.href)
  t.after(async () => {
    await client.end()
    await db.root.query(`drop role ${ann}`)
  })
  await client.query("set role bloud_operator; set bloud.origin = 'web'")
  const { rows: operations } = await client.query("select requested_by, origin from bloud.install('flow')")
  await client.query("select bloud.uninstall('flow')")
  const { rows } = await db.root.query('select distinct actor, origin from bloud.events')
  assert.deepEqual(operations, [{ requested_by: ann, origin: 'psql' }])
  assert.deepEqual(rows, [{ actor: ann, origin: 'psql' }])
})

test('an operator can not set the time of an operation and its events', async () => {
  await db.operator.query("set bloud.clock = '2001-01-01'")
  await install('flow')
  const { rows } = await db.root.query(
    `select requested_at as at from bloud.operations union all select at from bloud.events
    order by at limit 1`,
  )
  assert.ok(rows[0].at.getFullYear() > 2001, String(rows[0].at))
})

test('an operator can not write tables, and the relay can not call verbs under its own role', async () => {
  for (const statement of [
    "update bloud.apps set status = 'running'",
    'delete from bloud.events',
    'select bloud.sweep(1)',
  ]) {
    assert.equal((await refusalOf(db.operator, statement)).code, '42501', statement)
  }
  const relay = await session(db.database.urlFor('bloud_relay'))
  assert.equal(
    (await refusalOf(relay, "select bloud.install('flow')")).code,
    '42501',
    'allowed only under the role bloud_operator',
  )
  await relay.end()
})
