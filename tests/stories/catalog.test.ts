import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { letInstall } from '../support/packages.ts'

test('a catalog refresh reads new files, and one invalid file does not hide the others', async (t) => {
  const home = await makeHome(t)
  await home.addApp('first')
  await home.orchestrator()
  await home.addApp('second')
  await writeFile(join(home.dataDir, 'catalog/bad.yaml'), 'name: bad\nport: none\n')
  const first = await home.sql.query('select id, state from bloud.refresh_catalog()')
  assert.equal(first.rows[0].state, 'queued')
  await home.untilTrue('select state = $1 from bloud.operations where id = $2', [
    'succeeded',
    first.rows[0].id,
  ])
  const { rows } = await home.sql.query('select name from bloud.catalog')
  assert.deepEqual(rows, [{ name: 'first' }, { name: 'second' }])
  const problems = await home.sql.query('select file, line, reason from bloud.catalog_problems')
  assert.equal(problems.rows.length, 1)
  assert.equal(problems.rows[0].file, 'bad.yaml')
  assert.match(problems.rows[0].reason, /\w/)
})

test('HTTP requests rename an app and refresh the catalog, as in psql', async (t) => {
  const home = await makeHome(t)
  await home.addApp('good')
  await home.orchestrator()
  const relay = await home.relay()
  const post = async (path: string, body?: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${relay.address}${path}`, {
      method: 'POST',
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return { status: response.status, ...((await response.json()) as object) }
  }
  const unknown = await post('/api/apps/good/rename', { display_name: 'My flows' })
  assert.deepEqual([unknown.status, unknown.code], [404, 'not_installed'])
  await home.sql.query("select bloud.install('good')")
  const renamed = await post('/api/apps/good/rename', { display_name: 'My flows' })
  assert.deepEqual(
    [renamed.status, renamed.kind, renamed.state, renamed.origin],
    [202, 'rename', 'succeeded', 'api'],
  )
  const empty = await post('/api/apps/good/rename', { display_name: '' })
  assert.deepEqual([empty.status, empty.code, empty.sqlstate], [400, 'invalid_options', 'BL017'])
  const apps = (await (await fetch(`${relay.address}/api/apps/installed`)).json()) as {
    display_name: string
  }[]
  assert.equal(apps[0]?.display_name, 'My flows')
  await home.until('good', 'running')
  const refresh = await post('/api/catalog/refresh')
  assert.deepEqual([refresh.status, refresh.kind], [202, 'refresh_catalog'])
  await home.untilTrue(
    "select bool_and(state = 'succeeded') from bloud.operations where kind = 'refresh_catalog'",
  )
})

test('a catalog refresh works during a rebuild, and fails with the path if the folder is missing', async (t) => {
  const home = await makeHome(t)
  await home.addApp('slow', 'slow-install')
  await home.orchestrator()
  await home.sql.query("select bloud.install('slow')")
  await home.until('slow', 'building')
  const refresh = async () => (await home.sql.query('select id from bloud.refresh_catalog()')).rows[0].id
  const endsAs = (state: string, id: string) =>
    home.untilTrue('select state = $1 from bloud.operations where id = $2', [state, id])
  await endsAs('succeeded', await refresh())
  await rm(join(home.dataDir, 'catalog'), { recursive: true })
  const failed = await refresh()
  await endsAs('failed', failed)
  const { rows } = await home.sql.query('select cause from bloud.operations where id = $1', [failed])
  assert.match(rows[0].cause.message, /can't be read: .*no such file/)
  assert.match(rows[0].cause.hint, /may read BLOUD_CATALOG_DIR, .*catalog, then/)
  const app = await home.sql.query('select status from bloud.apps')
  assert.equal(app.rows[0].status, 'building', 'the rebuild ended too early: this tests nothing')
  await letInstall(home.packages, 'slow')
  await home.until('slow', 'running')
})

test('files that block, cannot be stored, or that the database refuses do not end a refresh', async (t) => {
  const home = await makeHome(t)
  const catalog = join(home.dataDir, 'catalog')
  const text = (name: string, more = '') =>
    `name: ${name}\ndisplayName: A\ncategory: test\nport: 32313\n${more}`
  await writeFile(join(catalog, 'nul-escape.yaml'), text('nul-escape', 'description: "a\\0b"\n'))
  await writeFile(join(catalog, 'nul-comment.yaml'), text('nul-comment', '# \0\0\n'))
  await writeFile(join(catalog, 'refused.yaml'), text('refused'))
  execFileSync('mkfifo', [join(catalog, 'pipe.yaml')])
  await home.sql.query("alter table bloud.catalog_cache add constraint no_such_app check (name <> 'refused')")
  await home.addApp('good')
  await home.orchestrator()
  const names = async (table: string, column: string) =>
    (await home.sql.query(`select ${column} from bloud.${table} order by 1`)).rows.map((row) => row[column])
  assert.deepEqual(await names('catalog', 'name'), ['good'])
  const { rows: problems } = await home.sql.query(
    'select file, line, reason from bloud.catalog_problems order by file',
  )
  assert.deepEqual(
    problems.map(({ file, line }) => [file, line]),
    [
      ['nul-comment.yaml', 5],
      ['nul-escape.yaml', 5],
      ['pipe.yaml', 1],
      ['refused.yaml', 1],
    ],
  )
  assert.match(problems[3].reason, /no_such_app/)
  await home.sql.query("select bloud.install('good')")
  await home.until('good', 'running')
})

test('an error that no file causes ends a refresh as failed, with the message', async (t) => {
  const home = await makeHome(t)
  await home.addApp('good')
  await home.orchestrator()
  await home.sql.query('alter table bloud.catalog_problems add constraint nothing_fits check (false)')
  await writeFile(join(home.dataDir, 'catalog/bad.yaml'), 'name: bad\nport: none\n')
  const { rows } = await home.sql.query('select id from bloud.refresh_catalog()')
  await home.untilTrue("select state = 'failed' from bloud.operations where id = $1", [rows[0].id])
  const operation = await home.sql.query('select cause from bloud.operations where id = $1', [rows[0].id])
  assert.match(operation.rows[0].cause.message, /can't be read: .*nothing_fits/)
})
