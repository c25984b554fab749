/** What somebody hears who does not see the page, what is taken along from a log, and how a finger scrolls it. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPage } from '../support/browser.ts'
import { agrees } from '../support/pagechecks.ts'
import { openStage } from '../support/scripted-agent.ts'
import { value } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

interface Heard {
  heard: string[]
}

/** Runs in the page: notes what comes into a live region, as a screen reader does. */
function listen(): void {
  const heard: string[] = []
  ;(window as unknown as Heard).heard = heard
  const hear = (target: Node, text: string | null) => {
    const element = target instanceof Element ? target : target.parentElement
    const region = element?.closest('[aria-live], [role="status"], [role="alert"], [role="log"]')
    const isUrgent = region?.matches('[role="alert"], [aria-live="assertive"]')
    if (region && text?.trim()) heard.push(`${isUrgent ? 'at once' : 'politely'}: ${text.trim()}`)
  }
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === 'characterData') hear(target, target.textContent)
      else for (const node of addedNodes) hear(node, node.textContent)
    }
  }).observe(document, { subtree: true, childList: true, characterData: true })
}

const heardOn = (page: Page) => page.evaluate(() => (window as unknown as Heard).heard)

test(
  'every move is said once, only a failure interrupts, and clocks tick unheard',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const { page } = await openPage(stage.address)
    await page.clock.install()
    await page.reload()
    await page.locator('[data-connection="live"]').waitFor()
    await page.evaluate(listen)
    const card = page.locator('article[data-app="node-red"]')
    const see = (status: string) => card.and(page.locator(`[data-status="${status}"]`)).waitFor()
    await stage.ask('install', 'node-red')
    await see('queued')
    await stage.claim()
    await see('configuring')
    await stage.build('a line')
    await see('building')
    const clock = card.locator('.situation-time .elapsed')
    const before = await clock.textContent()
    await page.clock.fastForward(5000)
    assert.notEqual(await clock.textContent(), before)
    await stage.broke({ class: 'build', message: 'No such package.' })
    await see('failed')
    await stage.ask('retry', 'node-red')
    await see('queued')
    await stage.ask('cancel', 'node-red')
    await see('failed')
    await agrees(page, stage.sql)
    assert.deepEqual(await heardOn(page), [
      'politely: Node-RED: Queued',
      'politely: Node-RED: Configuring',
      'politely: Node-RED: Building',
      'at once: Node-RED: Install failed. No such package.',
      'politely: Node-RED: Queued',
      `politely: Node-RED: Install failed. ${await value(stage.sql, "select cause->>'message' from bloud.app_status")}`,
    ])
  },
)

const LINES = [
  '\u001b[32mfetching\u001b[0m node-red 4.1.0',
  'ten per cent\rall of it',
  '',
  'grüße, 世界 <b>not bold</b>',
  ...Array.from({ length: 1200 }, (_, index) => `line ${index}`),
]
const READ = ['fetching node-red 4.1.0', 'all of it', ...LINES.slice(2)]

test('a log is copied as it is read here, and downloaded as it was written', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  await stage.ask('install', 'node-red')
  await stage.claim()
  await stage.build(...LINES)
  const { page } = await openPage(stage.address, { path: '/apps/node-red' })
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.locator('[data-log]').getByText('line 1199').waitFor()
  await page.getByRole('button', { name: 'Copy the log' }).click()
  await page.getByRole('button', { name: 'Copy the log' }).getByText('Copied').waitFor()
  assert.deepEqual((await page.evaluate(() => navigator.clipboard.readText())).split('\n'), READ)
  const coming = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download' }).click()
  const download = await coming
  assert.match(download.suggestedFilename(), /^node-red-\d+\.log$/)
  const written = await readFile(await download.path(), 'utf8')
  const { rows } = await stage.sql.query(
    'select line from bloud.operation_log((select max(id) from bloud.operations), 0, 5000) order by line_no',
  )
  assert.deepEqual(written, rows.map(({ line }) => `${line}\n`).join(''))
  assert.deepEqual(
    rows.map(({ line }) => line),
    LINES,
  )
})

test(
  'a page loaded anew in the middle of a question has asked for nothing, and asks again',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.bring('node-red')
    const before = await value(stage.sql, 'select max(id) from bloud.operations')
    const { page, complaints } = await openPage(stage.address)
    const dialog = page.getByRole('dialog')
    for (const [app, action] of [
      ['node-red', 'uninstall'],
      ['immich', 'install'],
    ] as const) {
      await page.locator(`[data-app="${app}"] [data-action="${action}"]`).click()
      await dialog.waitFor()
      await page.reload()
      await page.locator('[data-connection="live"]').waitFor()
      assert.equal(await dialog.count(), 0)
    }
    await page.locator('[data-app="immich"] [data-action="install"]').click()
    await dialog.waitFor()
    assert.equal(await value(stage.sql, 'select max(id) from bloud.operations'), before)
    assert.deepEqual(complaints, [])
  },
)

test(
  'by touch too, Follow goes off when one scrolls up, and on again at the end',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.ask('install', 'node-red')
    await stage.claim()
    await stage.build(...LINES)
    const { page, screenshot } = await openPage(stage.address, {
      path: '/apps/node-red',
      width: 320,
      touch: true,
    })
    const log = page.locator('[data-log]')
    const follow = (on: boolean) => log.locator(`[data-follow][aria-pressed="${on}"]`)
    await log.getByText('line 1199').waitFor()
    await follow(true).waitFor()
    await log.scrollIntoViewIfNeeded()
    const box = await log.locator('.log-body').boundingBox()
    assert.ok(box)
    const finger = await page.context().newCDPSession(page)
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', y: number) =>
      finger.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: type === 'touchEnd' ? [] : [{ x: box.x + box.width / 2, y }],
      })
    const rest = log
      .locator('.log-body')
      .evaluate((one) => new Promise<void>((done) => one.addEventListener('scrollend', () => done())))
    await touch('touchStart', box.y + 40)
    for (let moved = 20; moved <= 240; moved += 20) await touch('touchMove', box.y + 40 + moved)
    await touch('touchEnd', 0)
    await rest
    await follow(false).waitFor()
    await stage.log(['one more'])
    await log.locator('[data-follow]').tap()
    await log.getByText('one more').waitFor()
    await follow(true).waitFor()
    await screenshot('log-phone')
  },
)
