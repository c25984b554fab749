import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'

test('the catalog is read again when somebody asks, and one bad file hides nothing', async (t) => {
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

test('over HTTP an app is given another name and the catalog is refreshed, as in psql', async (t) => {
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
