/**
 * Tests for each status and each kind of failure that the page matches the database, is accessible and fits
 * small screens.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Locator } from 'playwright-core'
import { type OpenPage, openPage } from '../support/browser.ts'
import { assertAccessible, assertFitsNarrow, assertMatchesDatabase } from '../support/pagechecks.ts'
import { type Failure, type ScriptedAgent, startScriptedAgent } from '../support/scripted-agent.ts'
import { entry } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

const BUILD_LOG = [
  'evaluating configuration',
  'building the system configuration...',
  '\u001b[32mfetching\u001b[0m node-red 4.1.0',
  "building '/nix/store/node-red-4.1.0.drv'...",
]

async function saveScreenshots(opened: OpenPage, name: string): Promise<void> {
  if (!process.env.SCREENSHOTS) return
  const { page, screenshot } = opened
  for (const [width, colorScheme] of [
    [1100, 'light'],
    [1100, 'dark'],
    [390, 'light'],
  ] as const) {
    await page.setViewportSize({ width, height: 844 })
    await page.emulateMedia({ colorScheme })
    await screenshot(`${name}-${width === 390 ? 'phone' : colorScheme}`)
  }
  await page.setViewportSize({ width: 1100, height: 900 })
}

async function check(agent: ScriptedAgent, opened: OpenPage, name: string): Promise<void> {
  await assertMatchesDatabase(opened.page, agent.sql)
  await assertAccessible(opened.page, name)
  await assertFitsNarrow(opened.page, name)
  await saveScreenshots(opened, name)
}

test(
  'the list and the page of the app show every status from the request to the purge',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('miniflux')
    const list = await openPage(agent.address)
    const own = await openPage(agent.address, { path: '/apps/node-red' })
    const both = async (name: string) => {
      await check(agent, list, `list-${name}`)
      await assertMatchesDatabase(own.page, agent.sql, { only: 'node-red' })
      await assertAccessible(own.page, `app-${name}`)
      await assertFitsNarrow(own.page, `app-${name}`)
      await saveScreenshots(own, `app-${name}`)
    }
    await both('none')
    await agent.request('install', 'node-red')
    await both('queued')
    await agent.claim()
    await both('configuring')
    await agent.build(...BUILD_LOG)
    await list.page.locator('[data-log]').getByText('building the system').waitFor()
    await both('building')
    await agent.succeed()
    await both('starting')
    await agent.health('node-red', true)
    await both('running')
    await agent.health('node-red', false, {
      class: 'health',
      message: 'No answer on port 1880 for 30 s.',
      hint: 'Look at its log, then retry.',
    })
    await both('error')
    await agent.request('uninstall', 'node-red')
    await both('stopping')
    await agent.claim()
    await agent.build()
    await agent.succeed()
    await both('stopped')
    await agent.request('purge', 'node-red')
    await agent.claim()
    await agent.build()
    await agent.succeed()
    await both('gone')
    assert.deepEqual([...list.complaints, ...own.complaints], [])
    const steps = (await list.shown('node-red')).filter((status) => status !== 'none')
    assert.deepEqual(steps, [
      'queued',
      'configuring',
      'building',
      'starting',
      'running',
      'error',
      'stopping',
      'stopped',
    ])
  },
)

const FAILURES: (Failure & { phase: string })[] = [
  {
    class: 'preflight',
    phase: 'queued',
    message: 'Port 1880 is used by another program.',
    hint: 'Stop it, then retry.',
  },
  {
    class: 'configure',
    phase: 'configuring',
    message: 'The configuration could not be written: no space left on device.',
  },
  {
    class: 'evaluate',
    phase: 'building',
    message: 'attribute nodered is missing',
    exit_code: 1,
    log: [
      ...Array.from({ length: 18 }, (_, n) => `… while evaluating ${n}`),
      'error: attribute nodered is missing',
    ],
  },
  {
    class: 'build',
    phase: 'building',
    message: 'npm could not install node-red (ENOTFOUND): getaddrinfo ENOTFOUND registry.example.org',
    hint: 'Check the network, then retry.',
    exit_code: 1,
    log: [
      'npm error code ENOTFOUND',
      'npm error network request to https://registry.example.org/node-red failed',
    ],
  },
  {
    class: 'activate',
    phase: 'building',
    message: 'The unit node-red.service could not be started.',
    exit_code: 4,
  },
  { class: 'timeout', phase: 'building', message: 'The rebuild took longer than 30 minutes.' },
  {
    class: 'interrupted',
    phase: 'building',
    message: 'The machine was switched off while it was building.',
    hint: 'Retry.',
  },
  { class: 'cancelled', phase: 'building', message: 'Cancelled on request.' },
]

const isVisibleInLog = (line: Locator) =>
  line.evaluate((element) => {
    const box = element.closest('.log-body')?.getBoundingClientRect()
    const { top, bottom } = element.getBoundingClientRect()
    return box !== undefined && top >= box.top && bottom <= box.bottom
  })

test(
  'every kind of failure shows the failed step, the cause, the unaffected apps and the possible actions',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    const opened = await openPage(agent.address)
    const { page } = opened
    const card = page.locator('article[data-app="node-red"]')
    for (const failure of FAILURES) {
      await agent.request('install', 'node-red')
      await agent.claim()
      if (failure.phase !== 'configuring' && failure.phase !== 'queued') await agent.build(...BUILD_LOG)
      await agent.fail(failure)
      await card.locator(`[data-cause="${failure.class}"]`).getByText(failure.message).first().waitFor()
      assert.ok(
        await card.and(page.locator(failure.class === 'cancelled' ? '.tone-off' : '.tone-bad')).count(),
      )
      await card.locator(`[data-step="${failure.phase}"][data-step-state="broken"]`).waitFor()
      const last = failure.log?.at(-1)
      if (last) assert.ok(await isVisibleInLog(card.locator('.last-lines').getByText(last)), last)
      assert.equal(
        await card.getByText('your other apps were not touched').count(),
        failure.class === 'activate' ? 0 : 1,
      )
      await check(agent, opened, `failed-${failure.class}`)
    }
    await agent.bringUp('node-red')
    await agent.health('node-red', false, { class: 'health', message: 'It answered 503.' })
    await card.locator('[data-cause="health"]').waitFor()
    await check(agent, opened, 'failed-health')
    assert.deepEqual(opened.complaints, [])
  },
)

test(
  'the queue shows the apps of the running rebuild, and the waiting apps in their order',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    const opened = await openPage(agent.address)
    const { page } = opened
    for (const app of ['node-red', 'verdaccio']) await agent.request('install', app)
    await agent.claim()
    await agent.build(...BUILD_LOG)
    for (const app of ['tiddlywiki', 'grafana']) await agent.request('install', app)
    const queue = page.locator('.queue')
    await queue.getByText('One rebuild for 2 apps').waitFor()
    await queue.locator('li[value="2"]').getByText('Grafana').waitFor()
    await page.locator('[data-app="grafana"]').getByText('Ahead: TiddlyWiki.').waitFor()
    await check(agent, opened, 'queue')
    assert.deepEqual(opened.complaints, [])
  },
)

test(
  'a rebuild without output for forty seconds is shown as silent, also before its first line',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.request('install', 'node-red')
    await agent.claim()
    const { page } = await openPage(agent.address)
    const log = page.locator('article[data-app="node-red"] [data-log]')
    await page.clock.install()
    await page.reload()
    await log.waitFor()
    // The build starts after the page has loaded, because loading may take longer than forty seconds on a
    // busy machine.
    await agent.build()
    await log.getByText('live').waitFor()
    await page.clock.fastForward(25_000)
    await log.getByText('live').waitFor()
    await page.clock.fastForward(20_000)
    await log.getByText(/no output for [0-2]:\d\d/).waitFor()
    await agent.log(['a line'])
    await log.getByText('a line').waitFor()
    await page.clock.fastForward(60_000)
    await log.getByText(/no output for [1-4]:\d\d/).waitFor()
  },
)

test(
  'the usual duration of a phase is shown after five runs, and not before',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    const { page } = await openPage(agent.address)
    const card = page.locator('article[data-app="node-red"]')
    for (let times = 0; times < 5; times += 1) {
      assert.equal(await card.getByText('usual').count(), 0)
      await agent.request('install', 'node-red')
      await agent.claim()
      await agent.build('a line')
      await assertMatchesDatabase(page, agent.sql)
      assert.equal(await card.getByText('usual').count(), 0)
      await agent.succeed()
      await agent.health('node-red', true)
      await agent.request('uninstall', 'node-red')
      await agent.claim()
      await agent.build()
      await agent.succeed()
    }
    await agent.request('install', 'node-red')
    await agent.claim()
    await agent.build('a line')
    await card.getByText(/usual.*(under a second|0:\d\d)/).waitFor()
    const took = card.locator('[data-step="configuring"] .step-time').getByText('s')
    await took.waitFor()
    await page.reload()
    await took.waitFor()
  },
)

test(
  'with dozens of apps that change at once, each card matches the database in the end',
  needs('chromium'),
  async (t) => {
    const names = Array.from({ length: 40 }, (_, index) => `many-${index}`)
    const agent = await startScriptedAgent(
      t,
      names.map((name, index) => entry(name, { port: 20_000 + index })),
    )
    const { page, complaints } = await openPage(agent.address)
    await agent.bringUp(...names)
    await assertMatchesDatabase(page, agent.sql)
    for (const name of names)
      await agent.health(name, false, { class: 'health', message: 'It answered 503.' })
    await assertMatchesDatabase(page, agent.sql)
    for (const name of names) await agent.request('uninstall', name)
    await assertMatchesDatabase(page, agent.sql)
    assert.deepEqual(complaints, [])
  },
)
