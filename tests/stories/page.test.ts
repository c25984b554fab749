/** Tests of the page in a real browser, with the agent's real processes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startProcess } from '../support/agent.ts'
import { openPage } from '../support/browser.ts'
import { type Home, makeHome } from '../support/home.ts'
import { letInstall } from '../support/packages.ts'
import { needs, toolPath } from '../support/tools.ts'

const STEPS = ['queued', 'configuring', 'building', 'starting', 'running']

async function psql(home: Home, statement: string): Promise<void> {
  const url = home.database.urlFor('bloud_operator')
  const agent = startProcess(toolPath('psql') ?? '', ['-X', '-d', url, '-c', statement])
  assert.equal(await agent.ended, 0, agent.output())
}

/**
 * Returns the app's events after event number `after`. Omits numbers, times, the requesting client and its
 * role, because they differ between two executions of the same operation.
 */
async function eventRows(home: Home, app: string, after: number): Promise<object[]> {
  const { rows } = await home.sql.query(
    `select app, from_status, to_status, cause, display_name, version, port, is_system, integration_config
     from bloud.events where app = $1 and seq > $2 order by seq`,
    [app, after],
  )
  return rows
}

test('the page shows every step of an install by psql, and its events equal those of an install by HTTP', {
  ...needs('psql'),
  ...needs('chromium'),
}, async (t) => {
  const home = await makeHome(t)
  await home.addApp('good')
  await home.orchestrator()
  const relay = await home.relay()
  const { page, shown, screenshot, complaints } = await openPage(relay.address)
  await screenshot('empty')

  await psql(home, "select bloud.install('good')")
  await home.until('good', 'running')
  await page.locator('[data-app="good"][data-status="running"]').waitFor()
  const seen = (await shown('good')).filter((status) => status !== 'none')
  assert.deepEqual(seen, STEPS)
  await screenshot('running')
  const byPsql = await eventRows(home, 'good', 0)
  await psql(home, "select bloud.uninstall('good', purge => 'good')")
  await home.until('good', null)

  const { rows } = await home.sql.query('select max(seq) as seq from bloud.events')
  await fetch(`${relay.address}/api/apps/good/install`, { method: 'POST' })
  await home.until('good', 'running')
  assert.deepEqual(await eventRows(home, 'good', Number(rows[0].seq)), byPsql)
  const authors = await home.sql.query(
    "select distinct origin, actor from bloud.events where to_status = 'queued' order by 1",
  )
  assert.deepEqual(authors.rows, [
    { origin: 'api', actor: 'bloud_operator' },
    { origin: 'psql', actor: 'bloud_psql' },
  ])
  assert.deepEqual(complaints, [])
})

test(
  'a person installs, reads the log, uninstalls and deletes the data with the mouse',
  needs('chromium'),
  async (t) => {
    const home = await makeHome(t)
    await home.addApp('slow', 'slow-install')
    await home.orchestrator()
    const relay = await home.relay()
    const { page, screenshot, complaints } = await openPage(relay.address)
    const card = page.locator('[data-app="slow"]')
    await card.locator('[data-action="install"]').click()
    await page.locator('[data-app="slow"][data-status="building"]').waitFor()
    await page.locator('[data-log]').getByText('preinstall is waiting').waitFor()
    await screenshot('building')
    await letInstall(home.packages, 'slow')
    await page.locator('[data-app="slow"][data-status="running"]').waitFor()
    await card.locator('[data-action="uninstall"]').click()
    await page.locator('[data-confirm="uninstall"]').click()
    await page.locator('[data-app="slow"][data-status="stopped"]').waitFor()
    await screenshot('stopped')
    const { rows } = await home.sql.query('select origin, kind from bloud.operations order by id')
    assert.deepEqual(rows, [
      { origin: 'web', kind: 'install' },
      { origin: 'web', kind: 'uninstall' },
    ])
    assert.deepEqual(complaints, [])
  },
)

test(
  'the page shows a failure with its cause and last lines, and disables what the database does not allow',
  needs('chromium'),
  async (t) => {
    const home = await makeHome(t)
    await home.addApp('bad', 'healthy', { npm: { package: 'file:/nowhere/at/all', bin: 'app' } })
    await home.addApp('exits', 'exits')
    await home.addApp('container', 'healthy', { npm: undefined, image: 'example/container:1' })
    await home.orchestrator()
    const relay = await home.relay()
    const { page, screenshot } = await openPage(relay.address)
    await home.sql.query("select bloud.install('bad')")
    await page.locator('[data-app="bad"][data-status="failed"]').waitFor()
    await page.locator('[data-app="bad"] [data-cause]').getByText('nowhere').first().waitFor()
    await screenshot('failed')
    await home.sql.query("select bloud.install('exits')")
    await page.locator('[data-app="exits"][data-status="error"]').waitFor()
    await page.locator('[data-app="exits"]').getByText('cannot find the settings file').first().waitFor()
    await screenshot('error')
    for (const app of ['bad', 'exits']) {
      const { rows } = await home.sql.query('select controls from bloud.app_status where name = $1', [app])
      for (const [action, { allowed }] of Object.entries<{ allowed: boolean }>(rows[0].controls)) {
        const buttons = page.locator(
          `[data-app="${app}"] [data-action="${action}"]:not([disabled]):not([aria-disabled="true"])`,
        )
        if (!allowed) assert.equal(await buttons.count(), 0, `${app}: ${action} is not allowed`)
      }
    }
    assert.equal(
      await page
        .locator('[data-app="container"] [data-action="install"]:not([disabled]):not([aria-disabled="true"])')
        .count(),
      0,
    )
  },
)

test(
  'the page shows that the relay is unreachable, and catches up when it is back',
  needs('chromium'),
  async (t) => {
    const home = await makeHome(t)
    await home.addApp('good')
    await home.orchestrator()
    const relay = await home.relay()
    const { page } = await openPage(relay.address)
    await relay.end('SIGKILL')
    await page.locator('[data-connection="reconnecting"]').waitFor()
    await home.sql.query("select bloud.install('good')")
    await home.until('good', 'running')
    await home.relay(Number(new URL(relay.address).port))
    await page.locator('[data-connection="live"]').waitFor()
    await page.locator('[data-app="good"][data-status="running"]').waitFor()
  },
)
