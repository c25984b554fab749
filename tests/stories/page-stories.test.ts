/** What people do at the page, and what happens to it meanwhile. The page is the database's again after each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { agrees, fitsNarrow, isAccessible } from '../support/pagechecks.ts'
import { openStage, type Stage } from '../support/scripted-agent.ts'
import { entry, value } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

const count = (stage: Stage) => value<string>(stage.sql, 'select count(*) from bloud.operations')

test('a double click is one operation', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  const { page } = await openPage(stage.address)
  let posts = 0
  page.on('request', (request) => {
    if (request.method() === 'POST') posts += 1
  })
  await page.locator('[data-app="node-red"] [data-action="install"]').dblclick()
  await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
  await agrees(page, stage.sql)
  assert.deepEqual([await count(stage), posts], ['1', 1])
})

test(
  'what an install brings along is asked before, and "not now" is nothing',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const opened = await openPage(stage.address)
    const { page } = opened
    await page.locator('[data-app="immich"] [data-action="install"]').click()
    const dialog = page.getByRole('dialog', { name: 'Install Immich?' })
    await dialog.getByText('Redis and PostgreSQL').waitFor()
    await isAccessible(page, 'plan')
    await fitsNarrow(page, 'plan')
    await opened.screenshot('plan-light')
    await dialog.getByText('Not now').click()
    await dialog.waitFor({ state: 'detached' })
    assert.equal(await count(stage), '0')
    await page.locator('[data-app="immich"] [data-action="install"]').click()
    await dialog.getByText('Install all 3').click()
    await page.locator('article[data-app="immich"][data-status="queued"]').waitFor()
    await agrees(page, stage.sql)
    assert.equal(await count(stage), '3')
  },
)

const DATABASE = { required: true, multi: false, compatible: [{ app: 'miniflux' }, { app: 'gitea' }] }
const CHOOSY = entry('choosy', { port: 9999, integrations: { database: DATABASE } })

test(
  'a choice without a default has to be made, and is what the operation was asked for',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t, [CHOOSY])
    const opened = await openPage(stage.address)
    const { page } = opened
    await page.locator('[data-app="choosy"] [data-action="install"]').click()
    const dialog = page.getByRole('dialog')
    const go = dialog.locator('[data-confirm="install"]')
    await dialog.getByRole('group', { name: 'Database of choosy' }).waitFor()
    assert.equal(await go.isDisabled(), true)
    await isAccessible(page, 'choice')
    await dialog.getByLabel('Gitea').check()
    await dialog
      .getByText(/Gitea.*installed along/s)
      .first()
      .waitFor()
    await opened.screenshot('choice-light')
    await page.locator('[data-confirm="install"]:not([disabled])').click()
    await page.locator('article[data-app="choosy"][data-status="queued"]').waitFor()
    const options = await value<object>(
      stage.sql,
      "select options from bloud.operations where app = 'choosy'",
    )
    assert.deepEqual(options, { choices: { 'choosy.database': ['gitea'] } })
    await agrees(page, stage.sql)
  },
)

test(
  'cancelling says so until the work is really gone, and a reload does not forget it',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const { page } = await openPage(stage.address)
    await stage.ask('install', 'node-red')
    await stage.claim()
    await stage.build('a line')
    const cancel = page.locator('article[data-app="node-red"] [data-action="cancel"]')
    await cancel.click()
    await page.locator('[data-action="cancel"][aria-busy="true"]').getByText('Cancelling…').waitFor()
    await page.reload()
    await page.locator('[data-action="cancel"][aria-busy="true"]').getByText('Cancelling…').waitFor()
    await stage.broke({ class: 'cancelled', message: 'Cancelled on request.' })
    await page.locator('article[data-app="node-red"][data-status="failed"]').waitFor()
    await agrees(page, stage.sql)
    await page.locator('[data-action="retry"]').click()
    await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
    await agrees(page, stage.sql)
  },
)

test('data is deleted only by someone who typed whose', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  await stage.bring('node-red')
  const opened = await openPage(stage.address)
  const { page } = opened
  await page.locator('[data-app="node-red"] [data-action="uninstall"]').click()
  await opened.screenshot('uninstall-light')
  await isAccessible(page, 'uninstall')
  await page.getByText('Delete its data too…').click()
  const go = page.locator('[data-confirm="purge"]')
  await page.locator('[name="confirm-name"]').fill('node')
  assert.equal(await go.isDisabled(), true)
  await page.locator('[name="confirm-name"]').fill('node-red')
  await opened.screenshot('purge-light')
  await isAccessible(page, 'purge')
  await go.click()
  await page.locator('article[data-app="node-red"][data-status="stopping"]').waitFor()
  await stage.claim()
  await stage.build()
  await stage.switched()
  await page.locator('[data-app="node-red"][data-status="none"]').waitFor()
  await agrees(page, stage.sql)
})

test('install and uninstall by keyboard alone', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  const { page } = await openPage(stage.address)
  const tabTo = async (selector: string, key = 'Tab') => {
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
  await stage.claim()
  await stage.build('a line')
  await stage.switched()
  await stage.health('node-red', true)
  await page.locator('article[data-app="node-red"][data-status="running"]').waitFor()
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  await tabTo('article[data-app="node-red"] h3 a')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/apps/node-red')
  // The address changes first, and what it leads to is drawn in the next frame at the latest.
  await page.locator('#page-title:focus').waitFor()
  await tabTo('[data-action="uninstall"]')
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
  await agrees(page, stage.sql, { only: 'node-red' })
})

test('the page of an app survives a reload, and back leads back', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  await stage.bring('node-red')
  const { page } = await openPage(stage.address)
  await page.locator('article[data-app="node-red"] h3 a').click()
  await page.locator('tr[data-seq]').first().waitFor()
  await page.reload()
  await page.getByRole('heading', { level: 1, name: 'Node-RED' }).waitFor()
  const operation = await value<string>(stage.sql, 'select max(id) from bloud.operations')
  await page.locator('tr[data-seq] a').first().click()
  await page.waitForURL(`**/apps/node-red/operations/${operation}`)
  await page.locator(`[data-log="${operation}"]`).waitFor()
  await page.goBack()
  await page.goBack()
  await page.getByRole('heading', { name: /Your apps/ }).waitFor()
  await agrees(page, stage.sql)
})

test(
  'what a browser can open has a link, and anything else is told where it is',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.bring('node-red', 'redis')
    const { rows } = await stage.sql.query('select name, protocol from bloud.app_status order by name')
    assert.deepEqual(rows, [
      { name: 'node-red', protocol: 'http' },
      { name: 'redis', protocol: 'tcp' },
    ])
    const { page } = await openPage(stage.address)
    const card = (app: string) => page.locator(`article[data-app="${app}"]`)
    assert.equal(
      await card('node-red').locator('[data-open]').getAttribute('href'),
      `http://${new URL(stage.address).hostname}:1880`,
    )
    await card('redis')
      .locator('[data-address]')
      .getByText(/:6379$/)
      .waitFor()
    assert.equal(await card('redis').locator('[data-open]').count(), 0)
    // An event does not say it; it is not forgotten for that.
    await stage.health('redis', false, { class: 'health', message: 'It takes no connections.' })
    await page.locator('article[data-app="redis"][data-status="error"]').waitFor()
    await stage.health('redis', true)
    await card('redis').locator('[data-address]').waitFor()
    await isAccessible(page, 'an address')
  },
)
