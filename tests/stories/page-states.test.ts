/** Every status and every kind of failure on the page: as the database says, for everybody, on every screen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Locator } from 'playwright-core'
import { type OpenPage, openPage } from '../support/browser.ts'
import { agrees, fitsNarrow, isAccessible } from '../support/pagechecks.ts'
import { type Failure, openStage, type Stage } from '../support/scripted-agent.ts'
import { entry } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

const BUILD_LOG = [
  'evaluating configuration',
  'building the system configuration...',
  '\u001b[32mfetching\u001b[0m node-red 4.1.0',
  "building '/nix/store/node-red-4.1.0.drv'...",
]

/** As a person looks at it: wide and narrow, light and dark. */
async function portrait(opened: OpenPage, name: string): Promise<void> {
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

async function check(stage: Stage, opened: OpenPage, name: string): Promise<void> {
  await agrees(opened.page, stage.sql)
  await isAccessible(opened.page, name)
  await fitsNarrow(opened.page, name)
  await portrait(opened, name)
}

test(
  'every status from the request to the deletion, on the list and on the page of the app',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.bring('miniflux')
    const list = await openPage(stage.address)
    const own = await openPage(stage.address, { path: '/apps/node-red' })
    const both = async (name: string) => {
      await check(stage, list, `list-${name}`)
      await agrees(own.page, stage.sql, { only: 'node-red' })
      await isAccessible(own.page, `app-${name}`)
      await fitsNarrow(own.page, `app-${name}`)
      await portrait(own, `app-${name}`)
    }
    await both('none')
    await stage.ask('install', 'node-red')
    await both('queued')
    await stage.claim()
    await both('configuring')
    await stage.build(...BUILD_LOG)
    await list.page.locator('[data-log]').getByText('building the system').waitFor()
    await both('building')
    await stage.switched()
    await both('starting')
    await stage.health('node-red', true)
    await both('running')
    await stage.health('node-red', false, {
      class: 'health',
      message: 'No answer on port 1880 for 30 s.',
      hint: 'Look at its log, then retry.',
    })
    await both('error')
    await stage.ask('uninstall', 'node-red')
    await both('stopping')
    await stage.claim()
    await stage.build()
    await stage.switched()
    await both('stopped')
    await stage.ask('purge', 'node-red')
    await stage.claim()
    await stage.build()
    await stage.switched()
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
    message: 'npm could not install node-red (ENOTFOUND): getaddrinfo ENOTFOUND registry.npmjs.org',
    hint: 'Check the network, then retry.',
    exit_code: 1,
    log: [
      'npm error code ENOTFOUND',
      'npm error network request to https://registry.npmjs.org/node-red failed',
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

/** Without having to scroll the box it stands in. */
const isInSight = (line: Locator) =>
  line.evaluate((one) => {
    const box = one.closest('.log-body')?.getBoundingClientRect()
    const { top, bottom } = one.getBoundingClientRect()
    return box !== undefined && top >= box.top && bottom <= box.bottom
  })

test(
  'every kind of failure says what failed, why, what is still fine and what can be done',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const opened = await openPage(stage.address)
    const { page } = opened
    const card = page.locator('article[data-app="node-red"]')
    for (const failure of FAILURES) {
      await stage.ask('install', 'node-red')
      await stage.claim()
      if (failure.phase !== 'configuring' && failure.phase !== 'queued') await stage.build(...BUILD_LOG)
      await stage.broke(failure)
      await card.locator(`[data-cause="${failure.class}"]`).getByText(failure.message).first().waitFor()
      assert.ok(
        await card.and(page.locator(failure.class === 'cancelled' ? '.tone-off' : '.tone-bad')).count(),
      )
      await card.locator(`[data-step="${failure.phase}"][data-step-state="broken"]`).waitFor()
      const last = failure.log?.at(-1)
      if (last) assert.ok(await isInSight(card.locator('.last-lines').getByText(last)), last)
      assert.equal(
        await card.getByText('your other apps were not touched').count(),
        failure.class === 'activate' ? 0 : 1,
      )
      await check(stage, opened, `failed-${failure.class}`)
    }
    await stage.bring('node-red')
    await stage.health('node-red', false, { class: 'health', message: 'It answered 503.' })
    await card.locator('[data-cause="health"]').waitFor()
    await check(stage, opened, 'failed-health')
    assert.deepEqual(opened.complaints, [])
  },
)

test(
  'a queue says who is at work, who waits and in which order, and several in one rebuild as such',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const opened = await openPage(stage.address)
    const { page } = opened
    for (const app of ['node-red', 'verdaccio']) await stage.ask('install', app)
    await stage.claim()
    await stage.build(...BUILD_LOG)
    for (const app of ['tiddlywiki', 'grafana']) await stage.ask('install', app)
    const queue = page.locator('.queue')
    await queue.getByText('One rebuild for 2 apps').waitFor()
    await queue.locator('li[value="2"]').getByText('Grafana').waitFor()
    await page.locator('[data-app="grafana"]').getByText('Ahead: TiddlyWiki.').waitFor()
    await check(stage, opened, 'queue')
    assert.deepEqual(opened.complaints, [])
  },
)

test(
  'a rebuild that says nothing for forty seconds is said to be silent, before its first line too',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.ask('install', 'node-red')
    await stage.claim()
    await stage.build()
    const { page } = await openPage(stage.address)
    const log = page.locator('article[data-app="node-red"] [data-log]')
    await page.clock.install()
    await page.reload()
    await log.getByText('live').waitFor()
    await page.clock.fastForward(25_000)
    await log.getByText('live').waitFor()
    await page.clock.fastForward(20_000)
    await log.getByText(/no output for 0:4\d/).waitFor()
    await stage.log(['a line'])
    await log.getByText('a line').waitFor()
    await page.clock.fastForward(60_000)
    await log.getByText(/no output for [12]:\d\d/).waitFor()
  },
)

test(
  'how long a phase usually takes is said from five times on, and not before',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const { page } = await openPage(stage.address)
    const card = page.locator('article[data-app="node-red"]')
    for (let times = 0; times < 5; times += 1) {
      assert.equal(await card.getByText('usual').count(), 0)
      await stage.ask('install', 'node-red')
      await stage.claim()
      await stage.build('a line')
      await agrees(page, stage.sql)
      assert.equal(await card.getByText('usual').count(), 0)
      await stage.switched()
      await stage.health('node-red', true)
      await stage.ask('uninstall', 'node-red')
      await stage.claim()
      await stage.build()
      await stage.switched()
    }
    await stage.ask('install', 'node-red')
    await stage.claim()
    await stage.build('a line')
    await card.getByText(/usual.*(under a second|0:\d\d)/).waitFor()
    const took = card.locator('[data-step="configuring"] .step-time').getByText('s')
    await took.waitFor()
    await page.reload()
    await took.waitFor()
  },
)

test(
  'with dozens of apps changing at once each card says in the end what the database says',
  needs('chromium'),
  async (t) => {
    const names = Array.from({ length: 40 }, (_, index) => `many-${index}`)
    const stage = await openStage(
      t,
      names.map((name, index) => entry(name, { port: 20_000 + index })),
    )
    const { page, complaints } = await openPage(stage.address)
    await stage.bring(...names)
    await agrees(page, stage.sql)
    for (const name of names)
      await stage.health(name, false, { class: 'health', message: 'It answered 503.' })
    await agrees(page, stage.sql)
    for (const name of names) await stage.ask('uninstall', name)
    await agrees(page, stage.sql)
    assert.deepEqual(complaints, [])
  },
)
