/** The line between the page and the agent, on bad days. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { agrees, isAccessible } from '../support/pagechecks.ts'
import { openStage } from '../support/scripted-agent.ts'
import { needs } from '../support/tools.ts'

test('without JavaScript the list is there, and asks for itself anew', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  await stage.bring('miniflux')
  await stage.ask('install', 'node-red')
  const { page, screenshot } = await openPage(stage.address, { javaScript: false })
  await page
    .locator('article[data-app="node-red"][data-status="queued"]')
    .getByText('Waiting for its turn')
    .waitFor()
  assert.equal(await page.locator('button:visible').count(), 0)
  await screenshot('no-javascript')
  await stage.claim()
  // Nothing presses reload here: the page does.
  await page.locator('article[data-app="node-red"][data-status="configuring"]').waitFor()
  await agrees(page, stage.sql, { buttons: false })
})

test(
  'the list is painted from the page itself, before the stream or any request of the script',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.bring('miniflux')
    const { page } = await openPage('about:', { path: 'blank', javaScript: false })
    await page.route('**/api/**', (route) => route.abort())
    await page.goto(stage.address)
    await page.locator('article[data-app="miniflux"][data-status="running"]').waitFor()
  },
)

test('the first load takes few requests, none to anybody else, and little', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  await stage.bring('miniflux')
  await stage.ask('install', 'node-red')
  const opened = await openPage('about:', { path: 'blank', javaScript: false })
  const page = await (await opened.page.context().browser())?.newPage()
  assert.ok(page)
  const network = await page.context().newCDPSession(page)
  await network.send('Network.enable')
  const requests: string[] = []
  let bytes = 0
  network.on(
    'Network.requestWillBeSent',
    ({ request }) => request.url.startsWith('data:') || requests.push(request.url),
  )
  network.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength
  })
  await page.goto(stage.address)
  await page.locator('[data-connection="live"]').waitFor()
  await page.waitForLoadState('networkidle').catch(() => undefined)
  assert.ok(requests.length <= 12, requests.join('\n'))
  assert.ok(
    requests.every((url) => url.startsWith(stage.address)),
    requests.join('\n'),
  )
  assert.ok(bytes > 0 && bytes <= 50_000, `${bytes} bytes`)
  t.diagnostic(`${requests.length} requests, ${bytes} bytes`)
  await page.close()
})

test('offline and back: it says so, and catches up', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  await stage.bring('miniflux')
  const { page, screenshot } = await openPage(stage.address)
  await page.clock.install()
  // What lives in the page's own time begins anew with that clock.
  await page.reload()
  await page.locator('[data-connection="live"]').waitFor()
  await page.context().setOffline(true)
  // A stream that is open stays open for the browser's emulation, but says nothing; a new one can't be had.
  await page.clock.runFor(60_000)
  await page
    .locator('[data-connection="reconnecting"]')
    .getByText(/stale\s+since \d\d:\d\d/)
    .waitFor()
  await screenshot('offline')
  await isAccessible(page, 'offline')
  await stage.ask('install', 'node-red')
  await page.context().setOffline(false)
  await page.clock.runFor(70_000)
  await page.locator('[data-connection="live"], [data-connection="polling"]').waitFor()
  await page.clock.resume()
  await agrees(page, stage.sql)
})

test(
  'the database can not be reached: stale since when, and everything is there afterwards',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.bring('miniflux')
    const { page, screenshot } = await openPage(stage.address)
    stage.network.setMode('refusing')
    await page
      .locator('[data-connection="stale"]')
      .getByText(/Stale\s+since \d\d:\d\d/)
      .waitFor()
    await isAccessible(page, 'stale')
    await screenshot('stale-light')
    await stage.ask('install', 'node-red')
    await page.locator('[data-app="verdaccio"] [data-action="install"]').click()
    await page.locator('[data-refusal="database_unavailable"]').waitFor()
    await screenshot('refused-light')
    stage.network.setMode('open')
    await page.locator('[data-connection="live"]').waitFor()
    await agrees(page, stage.sql)
  },
)

test(
  'a page that was frozen shows what happened meanwhile as soon as it wakes',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const { page } = await openPage(stage.address)
    const life = await page.context().newCDPSession(page)
    await life.send('Page.setWebLifecycleState', { state: 'frozen' })
    await stage.bring('node-red', 'miniflux')
    await stage.ask('uninstall', 'miniflux')
    await life.send('Page.setWebLifecycleState', { state: 'active' })
    await agrees(page, stage.sql)
  },
)

test('two tabs show the same, whichever was used', needs('chromium'), async (t) => {
  const stage = await openStage(t)
  const first = await openPage(stage.address)
  const second = await openPage(stage.address, { beside: first.page })
  await first.page.locator('[data-app="node-red"] [data-action="install"]').click()
  await second.page.locator('article[data-app="node-red"] [data-action="cancel"]').click()
  for (const { page } of [first, second]) {
    await page.locator('article[data-app="node-red"][data-status="failed"]').waitFor()
    await agrees(page, stage.sql)
  }
})

test(
  'eight windows with logs leave connections for whatever is pressed in them',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.ask('install', 'node-red')
    await stage.claim()
    await stage.build('the first line')
    const first = await openPage(stage.address)
    const windows = [first]
    for (let more = 1; more < 8; more += 1)
      windows.push(await openPage(stage.address, { beside: first.page }))
    const last = windows.at(-1)?.page ?? first.page
    for (const { page } of windows) await page.locator('[data-log]').getByText('the first line').waitFor()
    await last.locator('[data-app="verdaccio"] [data-action="install"]').click()
    await last.locator('article[data-app="verdaccio"][data-status="queued"]').waitFor()
    await stage.log(['the second line'])
    for (const { page } of windows) {
      await page.locator('[data-log]').getByText('the second line').waitFor()
      await agrees(page, stage.sql)
    }
    const modes = await Promise.all(
      windows.map(({ page }) => page.locator('[data-connection]').getAttribute('data-connection')),
    )
    assert.equal(modes.filter((mode) => mode === 'live').length, 2, modes.join(' '))
  },
)

test(
  'when something on the way holds the stream back, the page asks instead',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const { page } = await openPage('about:', { path: 'blank', javaScript: false }).then(async (opened) => {
      const context = await opened.page.context().browser()?.newContext()
      assert.ok(context)
      return { page: await context.newPage() }
    })
    await page.clock.install()
    await page.route('**/api/events?since=*', () => {})
    await page.goto(stage.address)
    await page.clock.runFor(16_000)
    await page.locator('[data-connection="polling"]').waitFor()
    await stage.ask('install', 'node-red')
    await page.clock.runFor(3000)
    await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
    await page.clock.resume()
    await agrees(page, stage.sql)
    await page.context().close()
  },
)

test(
  'fifty thousand lines scroll, are searched and followed, and only some are drawn',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await stage.ask('install', 'node-red')
    await stage.claim()
    await stage.build('the beginning')
    const lines = Array.from(
      { length: 10_000 },
      (_, n) => `copying path ${n} from 'https://cache.nixos.org'...`,
    )
    for (let times = 0; times < 5; times += 1) await stage.log(lines)
    await stage.log(['the needle', '\u001b[31mthe end\u001b[0m'])
    const { page, screenshot } = await openPage(stage.address, { path: '/apps/node-red' })
    const log = page.locator('[data-log]')
    await log.getByText('the end').waitFor()
    assert.ok((await log.locator('.log-line').count()) < 200)
    await log.locator('.log-body').evaluate((box) => box.scrollTo(0, 0))
    await page.locator('[data-follow][aria-pressed="false"]').waitFor()
    await log.getByText('copying path 5 from').waitFor()
    await log.locator('[name="log-search"]').fill('needle')
    await log.getByText('– of 1').waitFor()
    await page.keyboard.press('Enter')
    await log.locator('.is-goal').getByText('the needle').waitFor()
    await screenshot('log-search-light')
    await page.locator('[data-follow]').click()
    await stage.log(['one more'])
    await log.getByText('one more').waitFor()
    await isAccessible(page, 'log')
  },
)
