/** Tests of what the page shows while the agent is stopped, and after it is back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { makeHome } from '../support/home.ts'
import { assertAccessible } from '../support/pagechecks.ts'
import { needs } from '../support/tools.ts'

test(
  'while the agent is stopped, apps are dimmed with the time of the last news, and Open is disabled',
  needs('chromium'),
  async (t) => {
    const home = await makeHome(t)
    await home.addApp('good')
    await home.addApp('other')
    await home.orchestrator()
    const relay = await home.relay()
    await home.sql.query("select bloud.install('good')")
    await home.until('good', 'running')
    const list = await openPage(relay.address)
    const own = await openPage(relay.address, { path: '/apps/good' })
    const card = (page: typeof list.page) => page.locator('article[data-app="good"]')
    const open = (page: typeof list.page) => card(page).locator('[data-open]')
    for (const { page } of [list, own]) {
      await open(page).waitFor()
      assert.match((await open(page).getAttribute('href')) ?? '', /^http:/)
      assert.equal(await card(page).locator('.tone-good').count(), 1)
    }
    await relay.end('SIGKILL')
    for (const { page } of [list, own]) {
      await card(page)
        .locator('[data-last-seen]')
        .getByText(/^last seen \d\d:\d\d$/)
        .waitFor()
      await page.locator('article[data-app="good"].is-outdated.tone-off').waitFor()
      await page.locator('article[data-app="good"] [data-open][aria-disabled="true"]:not([href])').waitFor()
      assert.equal(await page.locator('.tone-good').count(), 0)
      await assertAccessible(page, 'the agent is stopped')
    }
    await list.page.locator('[data-app="other"] [data-action="install"]').click()
    await list.page.locator('[data-refusal="unreachable"]').waitFor()
    await list.screenshot('stopped-agent')

    await home.relay(Number(new URL(relay.address).port))
    for (const { page } of [list, own]) {
      await page.locator('[data-connection="live"]').waitFor()
      await page.locator('article[data-app="good"].tone-good:not(.is-outdated) [data-open][href]').waitFor()
      assert.equal(await page.locator('[data-last-seen], [data-refusal]').count(), 0)
    }
  },
)
