/** Opens the page in a real Chromium and records the statuses that each card has shown. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { toolPath } from './tools.ts'

/**
 * Folder for screenshots, e.g. SCREENSHOTS=test-results. Without it no screenshot is taken, because each
 * takes 0.3 s.
 */
const SCREENSHOTS = process.env.SCREENSHOTS
/** Flags that keep Chromium from using the network, because the tests also run on machines without one. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let browser: Promise<Browser> | undefined
after(async () => (await browser)?.close())

export interface OpenPage {
  page: Page
  /** Returns every status that the card of `app` has shown, in order. */
  shown(app: string): Promise<string[]>
  /** Saves a picture of the page for review by a person. Pictures are not committed. */
  screenshot(name: string): Promise<void>
  /** Errors of the page: those on its console and uncaught exceptions. */
  complaints: string[]
}

export interface PageOptions {
  dark?: boolean
  width?: number
  /** Page of the same browser context; both share the connections of the browser. */
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

/** Matches when the page receives events, by the stream or by polling. */
const UP_TO_DATE = '[data-connection="live"], [data-connection="polling"]'

interface Shown {
  shown: Record<string, string[]>
}

/** Runs in the page before its own scripts: records each status that the DOM shows. */
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
