import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { letInstall } from '../support/packages.ts'

const TEN = Array.from({ length: 10 }, (_, n) => `app-${n}`)

test('ten installs requested while a rebuild runs become one further rebuild', async (t) => {
  const home = await makeHome(t)
  await home.addApp('slow', 'slow-install')
  for (const name of TEN) await home.addApp(name)
  await home.orchestrator()
  await home.sql.query("select bloud.install('slow')")
  await home.untilTrue("select exists (select from bloud.rebuild_log where line like '%installing%slow%')")
  for (const name of TEN) await home.sql.query('select bloud.install($1)', [name])
  const queued = await home.sql.query('select count(*)::int as n from bloud.queue')
  assert.equal(queued.rows[0].n, 10)
  await letInstall(home.packages, 'slow')
  for (const name of ['slow', ...TEN]) await home.until(name, 'running')
  const { rows } = await home.sql.query('select count(*)::int as n from bloud.rebuilds')
  assert.equal(rows[0].n, 2)
})
