/** Opens the web page in Chromium and records each status that the page shows for an app. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { toolPath } from './tools.ts'

/** Folder for screenshots. Unset by default, because each screenshot takes 0.3 s. */
const SCREENSHOTS = process.env.SCREENSHOTS
/**
 * Flags of Chromium. Its own network requests, such as for updates, are off, because tests must pass offline.
 */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const PAGE_LIMIT_MS = 120_000

let browser: Promise<Browser> | undefined
after(async () => (await browser)?.close())

export interface OpenPage {
  page: Page
  /** Returns the statuses that the page has shown for the app, in order. */
  shown(app: string): Promise<string[]>
  screenshot(name: string): Promise<void>
  complaints: string[]
}

export interface PageOptions {
  dark?: boolean
  width?: number
  /**
   * Page that is already open in the same browser. The new page shares its cookies and storage, as a second
   * tab does.
   */
  beside?: Page
  path?: string
  javaScript?: boolean
  touch?: boolean
}

async function newContext(options: PageOptions): Promise<BrowserContext> {
  browser ??= chromium.launch({ executablePath: toolPath('chromium') ?? '', args: FLAGS })
  const context = await (await browser).newContext({
    colorScheme: options.dark ? 'dark' : 'light',
    viewport: { width: options.width ?? 1100, height: 900 },
    javaScriptEnabled: options.javaScript ?? true,
    hasTouch: options.touch ?? false,
    locale: 'en-GB',
  })
  await context.addInitScript(recordStatuses)
  return context
}

export async function openPage(address: string, options: PageOptions = {}): Promise<OpenPage> {
  const context = options.beside?.context() ?? (await newContext(options))
  const page = await context.newPage()
  page.setDefaultTimeout(PAGE_LIMIT_MS)
  const complaints: string[] = []
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(address + (options.path ?? '/'))
  if (options.javaScript !== false) await page.locator(UP_TO_DATE).first().waitFor()
  return {
    page,
    complaints,
    shown: (app) => page.evaluate((name) => (window as unknown as Shown).shown[name] ?? [], app),
    async screenshot(name) {
      if (!SCREENSHOTS) return
      mkdirSync(SCREENSHOTS, { recursive: true })
      await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
    },
  }
}

/** CSS selector that matches while the page receives events, by a stream or by polling. */
const UP_TO_DATE = '[data-connection="live"], [data-connection="polling"]'

interface Shown {
  shown: Record<string, string[]>
}

/** Records each status that the page shows for an app. Runs in the browser, before the page's own scripts. */
function recordStatuses(): void {
  const shown: Record<string, string[]> = {}
  ;(window as unknown as Shown).shown = shown
  const record = (): void => {
    for (const card of document.querySelectorAll<HTMLElement>('[data-app][data-status]')) {
      const { app = '', status = '' } = card.dataset
      shown[app] ??= []
      const list = shown[app]
      if (list.at(-1) !== status) list.push(status)
    }
  }
  const options = { childList: true, subtree: true, attributes: true, attributeFilter: ['data-status'] }
  new MutationObserver(record).observe(document, options)
}
