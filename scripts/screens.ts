/**
 * Takes the screenshots for README.md: `node scripts/screens.ts`. Starts an agent in a temporary directory
 * and installs apps from the npm registry.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { ROOT } from '../src/config.ts'
import { statePaths } from '../src/host/local/paths.ts'
import { run } from '../src/system/childprocess.ts'
import { membersOf, readMark } from '../src/system/processgroup.ts'
import { startWholeAgent } from '../tests/support/npmstart.ts'
import { freePort } from '../tests/support/port.ts'
import { prepareTools } from './test-tools.ts'

const SCREENS = join(ROOT, 'docs/screens')
const INSTALL_LIMIT_MS = 5 * 60_000
/** Number of colours of a screenshot. The page has few colours, and the file is a third of the size. */
const COLOURS = '64'

async function open(
  browser: Browser,
  address: string,
  width: number,
  height: number,
  dark = false,
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: 1.5,
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-GB',
  })
  const page = await context.newPage()
  await page.goto(address)
  await page.locator('[data-connection="live"]').waitFor()
  return page
}

async function take(page: Page, name: string): Promise<void> {
  const path = join(SCREENS, `${name}.png`)
  await page.screenshot({ path })
  const { code, output } = await run('convert', [path, '+dither', '-colors', COLOURS, `png8:${path}`], {
    cwd: ROOT,
    env: process.env,
    limitMs: 60_000,
  })
  if (code !== 0) throw new Error(`ImageMagick can't make ${name}.png smaller: ${output}`)
}

const card = (page: Page, app: string, status: string) =>
  page.locator(`article[data-app="${app}"][data-status="${status}"]`)

const { env } = await prepareTools(console.log)
const dataDir = await mkdtemp(join(tmpdir(), 'bloud-screens-'))
const agent = startWholeAgent(dataDir, await freePort())
const browser = await chromium.launch({
  executablePath: env.BLOUD_TEST_CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu'],
})
try {
  await agent.up()
  const page = await open(browser, agent.address, 1100, 760)
  const install = (app: string) => page.locator(`[data-app="${app}"] [data-action="install"]`).click()
  await install('tiddlywiki')
  await card(page, 'tiddlywiki', 'running').waitFor({ timeout: INSTALL_LIMIT_MS })
  await install('node-red')
  await card(page, 'node-red', 'building').locator('.log-line').nth(6).waitFor({ timeout: INSTALL_LIMIT_MS })
  await take(page, 'building')
  const phone = await open(browser, agent.address, 390, 760)
  await take(phone, 'phone')
  await card(page, 'node-red', 'running').waitFor({ timeout: INSTALL_LIMIT_MS })
  const { mark } = statePaths(join(dataDir, 'host'))
  const units = await membersOf({ marks: [`${await readMark(mark)}/unit/node-red`] })
  for (const pid of units) process.kill(pid, 'SIGSTOP')
  const dark = await open(browser, agent.address, 1100, 760, true)
  await card(dark, 'node-red', 'error').waitFor({ timeout: INSTALL_LIMIT_MS })
  await take(dark, 'not-healthy-dark')
  for (const pid of units) process.kill(pid, 'SIGCONT')
} finally {
  await browser.close()
  await agent.end('SIGTERM')
  await rm(dataDir, { recursive: true, force: true })
}
