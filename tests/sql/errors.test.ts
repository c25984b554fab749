/**
 * Tests that each error code raised in sql/ is documented in sql/README.md and mapped in
 * src/domain/problem.ts.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { PROBLEMS } from '../../src/domain/problem.ts'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, rebuildAll, refusalOf, session, value } from '../support/sql.ts'

const needing = (slot: string, ...apps: string[]): object => ({
  [slot]: { required: true, compatible: apps.map((app) => ({ app, default: apps.length === 1 })) },
})
const CATALOG = [
  entry('flow', { port: 1880 }),
  entry('rival', { port: 1880 }),
  entry('container', { unavailable: 'It is published as a container image only.' }),
  entry('db', { port: 5432, isSystem: true }),
  entry('disk'),
  entry('cloud'),
  entry('reader', { integrations: needing('database', 'disk') }),
  entry('picky', { integrations: needing('store', 'disk', 'cloud') }),
  entry('hen', { integrations: needing('egg', 'egg') }),
  entry('egg', { integrations: needing('hen', 'hen') }),
]

const WITHOUT_APPS: [code: string, statement: string][] = [
  ['BL001', "select bloud.install('nope')"],
  ['BL001', "select bloud.uninstall('nope')"],
  ['BL001', "select bloud.why('nope')"],
  ['BL002', "select bloud.install('No Way!')"],
  ['BL002', 'select bloud.cancel(null)'],
  ['BL002', "select bloud.plan_install('../etc')"],
  ['BL005', "select bloud.uninstall('flow')"],
  ['BL005', "select bloud.retry('flow')"],
  ['BL005', "select bloud.rename('flow', 'Flow')"],
  ['BL005', "select bloud.why('flow')"],
  ['BL006', "select bloud.install('container')"],
  ['BL007', "select bloud.install('picky')"],
  ['BL008', `select bloud.install('picky', '{"choices":{"store":"flow"}}')`],
  ['BL008', `select bloud.install('picky', '{"choices":{"store":[]}}')`],
  ['BL009', "select bloud.install('hen')"],
  ['BL013', "select bloud.cancel('flow')"],
  ['BL017', `select bloud.install('flow', '{"choces":{}}')`],
  ['BL017', "select bloud.install('flow', null)"],
  ['BL017', "select bloud.rename('flow', '')"],
  ['BL021', 'select bloud.rollback()'],
]

const WITH_APPS: [code: string, statement: string][] = [
  ['BL004', "select bloud.uninstall('cloud')"],
  ['BL010', "select bloud.uninstall('disk')"],
  ['BL011', "select bloud.uninstall('db')"],
  ['BL012', "select bloud.install('rival')"],
  ['BL015', "select bloud.retry('flow')"],
  ['BL019', "set transaction isolation level serializable; select bloud.cancel('flow')"],
  ['BL020', "select bloud.install('flow')"],
]

const DIRECT_WRITES: [code: string, statement: string][] = [
  ['BL003', "update bloud.apps set status = 'queued' where name = 'flow'"],
  ['BL003', "delete from bloud.apps where name = 'flow'"],
  ['BL018', "update bloud.apps set name = 'other' where name = 'flow'"],
  ['BL018', 'delete from bloud.events'],
  ['BL018', 'truncate bloud.events'],
  ['BL016', 'select bloud.sweep(-1)'],
  ['BL022', "select bloud.acquire_lease('test', 10, 'other folder')"],
]

let database: TestDatabase
let root: pg.Client
let operator: pg.Client
let attempt: number
const raisedHere = new Set<string>()

before(async () => {
  database = await testDatabase('errors')
  root = await session(database.url)
  operator = await session(database.urlFor('bloud_operator'))
  attempt = await lead(root, CATALOG)
  await root.query("select bloud.pair_folder('right folder', null, 'here')")
})
after(async () => {
  await Promise.all([root?.end(), operator?.end()])
  await database?.drop()
})

async function assertRefused(client: pg.Client, cases: [string, string][]): Promise<void> {
  for (const [code, statement] of cases) {
    const refusal = await refusalOf(client, statement)
    assert.equal(refusal.code, code, `${statement}: ${refusal.message}`)
    assert.match(refusal.message, /^\S.{5,}[^.]$/, statement)
    assert.match(refusal.hint ?? '', /\S.{5,}/, `${statement} has no hint`)
    raisedHere.add(code)
  }
}

const sqlText = (): string =>
  globSync('sql/**/*.sql', { cwd: ROOT })
    .map((path) => readFileSync(join(ROOT, path), 'utf8').replace(/^\s*--.*$/gm, ''))
    .join('\n')

const raised = (): string[] => [...new Set(sqlText().match(/(?<=')BL\d{3}(?=')/g))].sort()

/**
 * Splits an SQL argument list at the commas outside of brackets. The list ends at the first unmatched closing
 * bracket.
 */
function elements(text: string): string[] {
  const found = ['']
  let depth = 0
  for (const token of text.match(/'(?:[^']|'')*'|[^']/g) ?? []) {
    if (token === ')' && depth === 0) break
    if (token === '(') depth += 1
    if (token === ')') depth -= 1
    if (token === ',' && depth === 0) found.push('')
    else found[found.length - 1] += token
  }
  return found.map((element) => element.trim())
}

test('the codes raised in sql/, listed in sql/README.md and mapped to HTTP are the same', () => {
  const readme = readFileSync(join(ROOT, 'sql/README.md'), 'utf8')
  const listed = [
    ...readme.matchAll(/^\| `(BL\d{3})` \| `(\w+)` \| (\d{3}) \| (\S.*\S) \| (\S.*\S) \|$/gm),
  ].map(([, sqlstate, code, status]) => ({ sqlstate, code, status: Number(status) }))
  const mapped = Object.entries(PROBLEMS).flatMap(([code, problem]) =>
    'sqlstate' in problem ? [{ sqlstate: problem.sqlstate, code, status: problem.status }] : [],
  )
  assert.deepEqual(listed, mapped)
  assert.deepEqual(
    mapped.map(({ sqlstate }) => sqlstate),
    raised(),
  )
  assert.equal(readme.match(/^\| `BL/gm)?.length, listed.length, 'each line of the list has its five columns')
})

test('each refusal in sql/ has a message and a hint', () => {
  const text = sqlText()
  const raises = [...text.matchAll(/raise exception using errcode = 'BL\d{3}'[^;]*;/g)].map(([all]) => all)
  const refusals = [...text.matchAll(/\((?='BL\d{3}',)/g)].map(({ index }) => elements(text.slice(index + 1)))
  const places = text.match(/'BL\d{3}'/g)?.length
  assert.equal(
    raises.length + refusals.length,
    places,
    'a code stands in a form that this test does not parse',
  )
  for (const raise of raises) assert.match(raise, /\bmessage = [\s\S]*\bhint = /, raise)
  for (const [code, message, , hint, ...more] of refusals) {
    assert.deepEqual(more, [], `${code} ${message}`)
    for (const text of [message, hint])
      assert.match(text ?? '', /^('|format\()/, `${code} ${message}: ${text}`)
  }
})

test('verbs are refused before any app is installed', () => assertRefused(operator, WITHOUT_APPS))

test('verbs are refused while some apps run and another app is being built', async () => {
  for (const app of ['flow', 'db', 'reader']) await operator.query('select bloud.install($1)', [app])
  await rebuildAll(root, attempt)
  await operator.query("select bloud.install('cloud')")
  const rebuild = await value(root, 'select id from bloud.claim_rebuild($1, 60)', [attempt])
  await root.query("select bloud.begin_run($1, $2, '1')", [attempt, rebuild])
  await assertRefused(operator, WITH_APPS)
  await root.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, rebuild])
  await assertRefused(operator, [['BL014', "select bloud.cancel('cloud')"]])
})

test('direct writes to the tables are refused', () => assertRefused(root, DIRECT_WRITES))

test('every error code of sql/ has been raised by the tests of this file', () => {
  assert.deepEqual([...raisedHere].sort(), raised())
})

test('a blocker of an install plan has the texts of the error that install raises', async () => {
  const blockers = await value<object[]>(root, "select bloud.plan_install('rival') -> 'blockers'")
  const { code, ...texts } = await refusalOf(operator, "select bloud.install('rival')")
  assert.deepEqual(blockers, [{ sqlstate: code, ...texts }])
})
