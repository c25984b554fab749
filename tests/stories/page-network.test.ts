/**
 * Tests of the page without JavaScript, offline, with a bad connection, in several windows, and with long
 * logs.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { assertAccessible, assertMatchesDatabase } from '../support/pagechecks.ts'
import { startScriptedAgent } from '../support/scripted-agent.ts'
import { needs } from '../support/tools.ts'

test('without JavaScript the page shows the list and reloads itself', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  await agent.bringUp('miniflux')
  await agent.request('install', 'node-red')
  const { page, screenshot } = await openPage(agent.address, { javaScript: false })
  await page
    .locator('article[data-app="node-red"][data-status="queued"]')
    .getByText('Waiting for its turn')
    .waitFor()
  assert.equal(await page.locator('button:visible').count(), 0)
  await screenshot('no-javascript')
  await agent.claim()
  // Without JavaScript the page reloads itself by means of the response header `refresh`.
  await page.locator('article[data-app="node-red"][data-status="configuring"]').waitFor()
  await assertMatchesDatabase(page, agent.sql, { buttons: false })
})

test(
  'the list is in the HTML of the page, before the stream or any request of the script',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('miniflux')
    const { page } = await openPage('about:', { path: 'blank', javaScript: false })
    await page.route('**/api/**', (route) => route.abort())
    await page.goto(agent.address)
    await page.locator('article[data-app="miniflux"][data-status="running"]').waitFor()
  },
)

test(
  'the first load takes at most 12 requests and 50 kB, and none to other servers',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('miniflux')
    await agent.request('install', 'node-red')
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
    await page.goto(agent.address)
    await page.locator('[data-connection="live"]').waitFor()
    await page.waitForLoadState('networkidle').catch(() => undefined)
    assert.ok(requests.length <= 12, requests.join('\n'))
    assert.ok(
      requests.every((url) => url.startsWith(agent.address)),
      requests.join('\n'),
    )
    assert.ok(bytes > 0 && bytes <= 50_000, `${bytes} bytes`)
    t.diagnostic(`${requests.length} requests, ${bytes} bytes`)
    await page.close()
  },
)

test(
  'the page shows that it is offline, and catches up when it is online again',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('miniflux')
    const { page, screenshot } = await openPage(agent.address)
    await page.clock.install()
    // The clock of the page is simulated now. After the reload, all timers of the page use this clock.
    await page.reload()
    await page.locator('[data-connection="live"]').waitFor()
    await page.context().setOffline(true)
    // Chromium does not close the event stream when it is set offline, so the page must recognise a stream
    // without data.
    await page.clock.runFor(60_000)
    await page
      .locator('[data-connection="reconnecting"]')
      .getByText(/stale\s+since \d\d:\d\d/)
      .waitFor()
    await screenshot('offline')
    await assertAccessible(page, 'offline')
    await agent.request('install', 'node-red')
    await page.context().setOffline(false)
    await page.clock.runFor(70_000)
    await page.locator('[data-connection="live"], [data-connection="polling"]').waitFor()
    await page.clock.resume()
    await assertMatchesDatabase(page, agent.sql)
  },
)

test(
  'the page shows since when it is stale while the database is unreachable, and catches up afterwards',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('miniflux')
    const { page, screenshot } = await openPage(agent.address)
    agent.network.setMode('refusing')
    await page
      .locator('[data-connection="stale"]')
      .getByText(/Stale\s+since \d\d:\d\d/)
      .waitFor()
    await assertAccessible(page, 'stale')
    await screenshot('stale-light')
    await agent.request('install', 'node-red')
    await page.locator('[data-app="verdaccio"] [data-action="install"]').click()
    await page.locator('[data-refusal="database_unavailable"]').waitFor()
    await screenshot('refused-light')
    agent.network.setMode('open')
    await page.locator('[data-connection="live"]').waitFor()
    await page.locator('[data-refusal]').waitFor({ state: 'detached' })
    await assertMatchesDatabase(page, agent.sql)
  },
)

test('a frozen page catches up as soon as the browser resumes it', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const { page } = await openPage(agent.address)
  const life = await page.context().newCDPSession(page)
  await life.send('Page.setWebLifecycleState', { state: 'frozen' })
  await agent.bringUp('node-red', 'miniflux')
  await agent.request('uninstall', 'miniflux')
  await life.send('Page.setWebLifecycleState', { state: 'active' })
  await assertMatchesDatabase(page, agent.sql)
})

test('two tabs show the same state after a click in either', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const first = await openPage(agent.address)
  const second = await openPage(agent.address, { beside: first.page })
  await first.page.locator('[data-app="node-red"] [data-action="install"]').click()
  await second.page.locator('article[data-app="node-red"] [data-action="cancel"]').click()
  for (const { page } of [first, second]) {
    await page.locator('article[data-app="node-red"][data-status="failed"]').waitFor()
    await assertMatchesDatabase(page, agent.sql)
  }
})

test(
  'eight windows with logs leave connections free for requests of their buttons',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.request('install', 'node-red')
    await agent.claim()
    await agent.build('the first line')
    const first = await openPage(agent.address)
    const windows = [first]
    for (let more = 1; more < 8; more += 1)
      windows.push(await openPage(agent.address, { beside: first.page }))
    const last = windows.at(-1)?.page ?? first.page
    for (const { page } of windows) await page.locator('[data-log]').getByText('the first line').waitFor()
    await last.locator('[data-app="verdaccio"] [data-action="install"]').click()
    await last.locator('article[data-app="verdaccio"][data-status="queued"]').waitFor()
    await agent.log(['the second line'])
    for (const { page } of windows) {
      await page.locator('[data-log]').getByText('the second line').waitFor()
      await assertMatchesDatabase(page, agent.sql)
    }
    const modes = await Promise.all(
      windows.map(({ page }) => page.locator('[data-connection]').getAttribute('data-connection')),
    )
    assert.equal(modes.filter((mode) => mode === 'live').length, 2, modes.join(' '))
  },
)

test('the page polls if a proxy holds back the stream', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const { page } = await openPage('about:', { path: 'blank', javaScript: false }).then(async (opened) => {
    const context = await opened.page.context().browser()?.newContext()
    assert.ok(context)
    return { page: await context.newPage() }
  })
  await page.clock.install()
  await page.route('**/api/events?since=*', () => {})
  await page.goto(agent.address)
  await page.clock.runFor(16_000)
  await page.locator('[data-connection="polling"]').waitFor()
  await agent.request('install', 'node-red')
  await page.clock.runFor(3000)
  await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
  await page.clock.resume()
  await assertMatchesDatabase(page, agent.sql)
  await page.context().close()
})

test(
  'a log of fifty thousand lines can be scrolled, searched and followed, with few lines in the DOM',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.request('install', 'node-red')
    await agent.claim()
    await agent.build('the beginning')
    const lines = Array.from(
      { length: 10_000 },
      (_, n) => `copying path ${n} from 'https://cache.nixos.org'...`,
    )
    for (let times = 0; times < 5; times += 1) await agent.log(lines)
    await agent.log(['the needle', '\u001b[31mthe end\u001b[0m'])
    const { page, screenshot } = await openPage(agent.address, { path: '/apps/node-red' })
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
    await agent.log(['one more'])
    await log.getByText('one more').waitFor()
    await assertAccessible(page, 'log')
  },
)
