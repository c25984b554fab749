/** Tests of the page with mouse and keyboard. After each action the page must match the database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { assertAccessible, assertFitsNarrow, assertMatchesDatabase } from '../support/pagechecks.ts'
import { type ScriptedAgent, startScriptedAgent } from '../support/scripted-agent.ts'
import { entry, value } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

const count = (agent: ScriptedAgent) => value<string>(agent.sql, 'select count(*) from bloud.operations')

test('a double click is one operation', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const { page } = await openPage(agent.address)
  let posts = 0
  page.on('request', (request) => {
    if (request.method() === 'POST') posts += 1
  })
  await page.locator('[data-app="node-red"] [data-action="install"]').dblclick()
  await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
  await assertMatchesDatabase(page, agent.sql)
  assert.deepEqual([await count(agent), posts], ['1', 1])
})

test(
  'a dialog lists the apps that an install brings along, and "Not now" requests nothing',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    const opened = await openPage(agent.address)
    const { page } = opened
    await page.locator('[data-app="immich"] [data-action="install"]').click()
    const dialog = page.getByRole('dialog', { name: 'Install Immich?' })
    await dialog.getByText('Redis and PostgreSQL').waitFor()
    await assertAccessible(page, 'plan')
    await assertFitsNarrow(page, 'plan')
    await opened.screenshot('plan-light')
    await dialog.getByText('Not now').click()
    await dialog.waitFor({ state: 'detached' })
    assert.equal(await count(agent), '0')
    await page.locator('[data-app="immich"] [data-action="install"]').click()
    await dialog.getByText('Install all 3').click()
    await page.locator('article[data-app="immich"][data-status="queued"]').waitFor()
    await assertMatchesDatabase(page, agent.sql)
    assert.equal(await count(agent), '3')
  },
)

const DATABASE = { required: true, multi: false, compatible: [{ app: 'miniflux' }, { app: 'gitea' }] }
const CHOOSY = entry('choosy', { port: 9999, integrations: { database: DATABASE } })

test(
  'a choice without a default must be made, and is stored in the options of the operation',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t, [CHOOSY])
    const opened = await openPage(agent.address)
    const { page } = opened
    await page.locator('[data-app="choosy"] [data-action="install"]').click()
    const dialog = page.getByRole('dialog')
    const go = dialog.locator('[data-confirm="install"]')
    await dialog.getByRole('group', { name: 'Database of choosy' }).waitFor()
    assert.equal(await go.isDisabled(), true)
    await assertAccessible(page, 'choice')
    await dialog.getByLabel('Gitea').check()
    await dialog
      .getByText(/Gitea.*installed along/s)
      .first()
      .waitFor()
    await opened.screenshot('choice-light')
    await page.locator('[data-confirm="install"]:not([disabled])').click()
    await page.locator('article[data-app="choosy"][data-status="queued"]').waitFor()
    const options = await value<object>(
      agent.sql,
      "select options from bloud.operations where app = 'choosy'",
    )
    assert.deepEqual(options, { choices: { 'choosy.database': ['gitea'] } })
    await assertMatchesDatabase(page, agent.sql)
  },
)

test('a cancel is shown until the rebuild has ended, also after a reload', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const { page } = await openPage(agent.address)
  await agent.request('install', 'node-red')
  await agent.claim()
  await agent.build('a line')
  const cancel = page.locator('article[data-app="node-red"] [data-action="cancel"]')
  await cancel.click()
  await page.locator('[data-action="cancel"][aria-busy="true"]').getByText('Cancelling…').waitFor()
  await page.reload()
  await page.locator('[data-action="cancel"][aria-busy="true"]').getByText('Cancelling…').waitFor()
  await agent.fail({ class: 'cancelled', message: 'Cancelled on request.' })
  await page.locator('article[data-app="node-red"][data-status="failed"]').waitFor()
  await assertMatchesDatabase(page, agent.sql)
  await page.locator('[data-action="retry"]').click()
  await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
  await assertMatchesDatabase(page, agent.sql)
})

test('a purge requires the typed name of the app', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  await agent.bringUp('node-red')
  const opened = await openPage(agent.address)
  const { page } = opened
  await page.locator('[data-app="node-red"] [data-action="uninstall"]').click()
  await opened.screenshot('uninstall-light')
  await assertAccessible(page, 'uninstall')
  await page.getByText('Delete its data too…').click()
  const go = page.locator('[data-confirm="purge"]')
  await page.locator('[name="confirm-name"]').fill('node')
  assert.equal(await go.isDisabled(), true)
  await page.locator('[name="confirm-name"]').fill('node-red')
  await opened.screenshot('purge-light')
  await assertAccessible(page, 'purge')
  await go.click()
  await page.locator('article[data-app="node-red"][data-status="stopping"]').waitFor()
  await agent.claim()
  await agent.build()
  await agent.succeed()
  await page.locator('[data-app="node-red"][data-status="none"]').waitFor()
  await assertMatchesDatabase(page, agent.sql)
})

test('install and uninstall by keyboard alone', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const { page } = await openPage(agent.address)
  const tabTo = async (selector: string, key = 'Tab') => {
    // On a busy machine the presses could otherwise end before the page shows the element.
    await page.locator(selector).first().waitFor()
    for (let presses = 0; presses < 120; presses += 1) {
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) return
      await page.keyboard.press(key)
    }
    throw new Error(`${selector} can't be reached by keyboard`)
  }
  await tabTo('input[name="search"]')
  await page.keyboard.type('node')
  await tabTo('[data-app="node-red"] [data-action="install"]')
  await page.keyboard.press('Enter')
  await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
  await page.locator('[data-catalog="node-red"] .tile-link:focus').waitFor()
  await agent.claim()
  await agent.build('a line')
  await agent.succeed()
  await agent.health('node-red', true)
  await page.locator('article[data-app="node-red"][data-status="running"]').waitFor()
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  await tabTo('article[data-app="node-red"] h3 a')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/apps/node-red')
  // The page moves the focus to its title one frame after the URL has changed. Keys pressed earlier would be
  // lost.
  await page.locator('#page-title:focus').waitFor()
  // The page reads whether the action is allowed after it has received the new status.
  await tabTo('[data-action="uninstall"][aria-disabled="false"]')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.action), 'uninstall')
  await page.keyboard.press('Enter')
  await tabTo('[data-confirm="uninstall"]')
  await page.keyboard.press('Enter')
  await page.locator('article[data-app="node-red"][data-status="stopping"]').waitFor()
  await page.locator('article[data-app="node-red"] .card-foot :focus').waitFor()
  await assertMatchesDatabase(page, agent.sql, { only: 'node-red' })
})

test(
  'the page of an app survives a reload, and the back button returns to the list',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('node-red')
    const { page } = await openPage(agent.address)
    await page.locator('article[data-app="node-red"] h3 a').click()
    await page.locator('tr[data-seq]').first().waitFor()
    await page.reload()
    await page.getByRole('heading', { level: 1, name: 'Node-RED' }).waitFor()
    const operation = await value<string>(agent.sql, 'select max(id) from bloud.operations')
    await page.locator('tr[data-seq] a').first().click()
    await page.waitForURL(`**/apps/node-red/operations/${operation}`)
    await page.locator(`[data-log="${operation}"]`).waitFor()
    await page.goBack()
    await page.goBack()
    await page.getByRole('heading', { name: /Your apps/ }).waitFor()
    await assertMatchesDatabase(page, agent.sql)
  },
)

test('an app with HTTP has a link, and every other app shows its address', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  await agent.bringUp('node-red', 'redis')
  const { rows } = await agent.sql.query('select name, protocol from bloud.app_status order by name')
  assert.deepEqual(rows, [
    { name: 'node-red', protocol: 'http' },
    { name: 'redis', protocol: 'tcp' },
  ])
  const { page } = await openPage(agent.address)
  const card = (app: string) => page.locator(`article[data-app="${app}"]`)
  assert.equal(
    await card('node-red').locator('[data-open]').getAttribute('href'),
    `http://${new URL(agent.address).hostname}:1880`,
  )
  await card('redis')
    .locator('[data-address]')
    .getByText(/:6379$/)
    .waitFor()
  assert.equal(await card('redis').locator('[data-open]').count(), 0)
  // An event does not contain the app's protocol, so the page must still know it from before.
  await agent.health('redis', false, { class: 'health', message: 'It takes no connections.' })
  await page.locator('article[data-app="redis"][data-status="error"]').waitFor()
  await agent.health('redis', true)
  await card('redis').locator('[data-address]').waitFor()
  await assertAccessible(page, 'an address')
})
