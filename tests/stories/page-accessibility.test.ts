/**
 * Tests of the page: announcements for screen readers, copy and download of a log, reloads during a dialog,
 * and scrolling on a touch screen.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPage } from '../support/browser.ts'
import { assertMatchesDatabase } from '../support/pagechecks.ts'
import { startScriptedAgent } from '../support/scripted-agent.ts'
import { value } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

interface Announcements {
  announced: string[]
}

/** Records what a screen reader would announce. Runs in the browser. */
function recordAnnouncements(): void {
  const announced: string[] = []
  ;(window as unknown as Announcements).announced = announced
  const record = (target: Node, text: string | null) => {
    const element = target instanceof Element ? target : target.parentElement
    const region = element?.closest('[aria-live], [role="status"], [role="alert"], [role="log"]')
    const isUrgent = region?.matches('[role="alert"], [aria-live="assertive"]')
    if (region && text?.trim()) announced.push(`${isUrgent ? 'at once' : 'politely'}: ${text.trim()}`)
  }
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === 'characterData') record(target, target.textContent)
      else for (const node of addedNodes) record(node, node.textContent)
    }
  }).observe(document, { subtree: true, childList: true, characterData: true })
}

const announcementsOn = (page: Page) => page.evaluate(() => (window as unknown as Announcements).announced)

test(
  'a screen reader announces every transition once, interrupts only for failures, and ignores clocks',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    const { page } = await openPage(agent.address)
    await page.clock.install()
    await page.reload()
    await page.locator('[data-connection="live"]').waitFor()
    await page.evaluate(recordAnnouncements)
    const card = page.locator('article[data-app="node-red"]')
    const untilStatus = (status: string) => card.and(page.locator(`[data-status="${status}"]`)).waitFor()
    await agent.request('install', 'node-red')
    await untilStatus('queued')
    await agent.claim()
    await untilStatus('configuring')
    await agent.build('a line')
    await untilStatus('building')
    const clock = card.locator('.situation-time .elapsed')
    const before = await clock.textContent()
    await page.clock.fastForward(5000)
    assert.notEqual(await clock.textContent(), before)
    await agent.fail({ class: 'build', message: 'No such package.' })
    await untilStatus('failed')
    await agent.request('retry', 'node-red')
    await untilStatus('queued')
    await agent.request('cancel', 'node-red')
    await untilStatus('failed')
    await assertMatchesDatabase(page, agent.sql)
    assert.deepEqual(await announcementsOn(page), [
      'politely: Node-RED: Queued',
      'politely: Node-RED: Configuring',
      'politely: Node-RED: Building',
      'at once: Node-RED: Install failed. No such package.',
      'politely: Node-RED: Queued',
      `politely: Node-RED: Install failed. ${await value(agent.sql, "select cause->>'message' from bloud.app_status")}`,
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

test(
  'a log is copied as the page shows it, and downloaded as it was written',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.request('install', 'node-red')
    await agent.claim()
    await agent.build(...LINES)
    const { page } = await openPage(agent.address, { path: '/apps/node-red' })
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
    const { rows } = await agent.sql.query(
      'select line from bloud.operation_log((select max(id) from bloud.operations), 0, 5000) order by line_no',
    )
    assert.deepEqual(written, rows.map(({ line }) => `${line}\n`).join(''))
    assert.deepEqual(
      rows.map(({ line }) => line),
      LINES,
    )
  },
)

test(
  'a reload while a dialog is open requests nothing, and the dialog opens again on the next click',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('node-red')
    const before = await value(agent.sql, 'select max(id) from bloud.operations')
    const { page, complaints } = await openPage(agent.address)
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
    assert.equal(await value(agent.sql, 'select max(id) from bloud.operations'), before)
    assert.deepEqual(complaints, [])
  },
)

test(
  'touch scrolling up turns Follow off, and a tap on Follow turns it on again',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.request('install', 'node-red')
    await agent.claim()
    await agent.build(...LINES)
    const { page, screenshot } = await openPage(agent.address, {
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
      .evaluate((body) => new Promise<void>((done) => body.addEventListener('scrollend', () => done())))
    await touch('touchStart', box.y + 40)
    for (let moved = 20; moved <= 240; moved += 20) await touch('touchMove', box.y + 40 + moved)
    await touch('touchEnd', 0)
    await rest
    await follow(false).waitFor()
    await agent.log(['one more'])
    await log.locator('[data-follow]').tap()
    await log.getByText('one more').waitFor()
    await follow(true).waitFor()
    await screenshot('log-phone')
  },
)
