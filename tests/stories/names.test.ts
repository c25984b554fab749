/** Story of an app whose name every plain object inherits, and of pages of such names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { PROTOTYPE_NAMES } from '../support/prototype-names.ts'

const ERROR_LEVEL = /"level":(50|60)/

test('an app called constructor is installed, shown and uninstalled beside another app', async (t) => {
  const home = await makeHome(t)
  await home.addApp('good')
  const orchestrator = await home.orchestrator()
  const relay = await home.relay()
  const page = async (name: string) => {
    const response = await fetch(`${relay.address}/apps/${name}`)
    return { status: response.status, html: await response.text() }
  }
  await home.sql.query("select bloud.install('good')")
  await home.until('good', 'running')
  for (const name of [...PROTOTYPE_NAMES, '%00', '%ff', 'no%20app', 'x'.repeat(500)]) {
    const { status, html } = await page(name)
    assert.equal(status, 404, name)
    assert.match(html, /There is no app called/, name)
  }
  await home.addApp('constructor')
  const { rows } = await home.sql.query('select id from bloud.refresh_catalog()')
  await home.untilTrue("select state = 'succeeded' from bloud.operations where id = $1", [rows[0].id])
  assert.equal((await page('constructor')).status, 200)
  const install = await fetch(`${relay.address}/api/apps/constructor/install`, { method: 'POST' })
  assert.equal(install.status, 202)
  await home.until('constructor', 'running')
  const shown = await page('constructor')
  assert.equal(shown.status, 200)
  assert.match(shown.html, /data-app="constructor" data-status="running"/)
  const uninstall = await fetch(`${relay.address}/api/apps/constructor/uninstall`, { method: 'POST' })
  assert.equal(uninstall.status, 202)
  await home.until('constructor', 'stopped')
  const { rows: apps } = await home.sql.query('select name, status from bloud.apps order by name')
  assert.deepEqual(apps, [
    { name: 'constructor', status: 'stopped' },
    { name: 'good', status: 'running' },
  ])
  for (const agent of [relay, orchestrator]) assert.doesNotMatch(agent.output(), ERROR_LEVEL)
})
