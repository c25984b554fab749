/** Checks for the web page in any state: it matches the database, is accessible, and fits small screens. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type pg from 'pg'
import type { Page } from 'playwright-core'

const LIMIT_MS = 90_000
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Card {
  status: string
  allowed: string[]
}

function readCards(): Record<string, Card> {
  const cards: Record<string, Card> = {}
  for (const card of document.querySelectorAll<HTMLElement>('article[data-app][data-status]')) {
    const { app = '', status = '' } = card.dataset
    if (status === 'none') continue
    const buttons = [...card.querySelectorAll<HTMLElement>('[data-action]')]
    const enabled = buttons.filter((button) => button.getAttribute('aria-disabled') !== 'true')
    cards[app] = { status, allowed: enabled.map((button) => button.dataset.action ?? '').sort() }
  }
  return cards
}

/**
 * Returns the status and the buttons that the page should show according to the database. The button for
 * purge is missing if uninstall is allowed, because the uninstall dialog then offers the purge.
 */
async function cardsInDatabase(sql: pg.Client): Promise<Record<string, Card>> {
  const { rows } = await sql.query('select name, status, controls from bloud.app_status')
  const entries = rows.map(({ name, status, controls }) => {
    const may = (action: string) => controls[action]?.allowed === true
    const hidden = (action: string) => action === 'purge' && may('uninstall')
    const allowed = Object.keys(controls).filter((action) => may(action) && !hidden(action))
    return [name, { status, allowed: allowed.sort() }]
  })
  return Object.fromEntries(entries)
}

export interface Expected {
  only?: string | undefined
  /** False if JavaScript is off, because the page then has no buttons. */
  buttons?: false | undefined
}

function expected(all: Record<string, Card>, { only, buttons }: Expected): Record<string, Card> {
  const some = Object.entries(all).filter(([name]) => only === undefined || name === only)
  return Object.fromEntries(
    some.map(([name, app]) => [name, buttons === false ? { ...app, allowed: [] } : app]),
  )
}

/**
 * Waits until the page shows the statuses and buttons that it should according to the database.
 * @throws with the differences, if the page does not match in time.
 */
export async function assertMatchesDatabase(page: Page, sql: pg.Client, what: Expected = {}): Promise<void> {
  const end = Date.now() + LIMIT_MS
  for (;;) {
    const wanted = expected(await cardsInDatabase(sql), what)
    const seen = expected(await page.evaluate(readCards).catch(ignoreNavigation), { buttons: what.buttons })
    const same = JSON.stringify(sorted(wanted)) === JSON.stringify(sorted(seen))
    if (same) return
    if (Date.now() > end) assert.deepEqual(seen, wanted)
    await page
      .evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)))
      .catch(ignoreNavigation)
  }
}

/**
 * Ignores the error that the browser reports if the page is reloaded while it is read.
 * @throws any other error.
 */
function ignoreNavigation(error: Error): Record<string, Card> {
  if (/context was destroyed/.test(error.message)) return {}
  throw error
}

const sorted = (all: Record<string, Card>) =>
  Object.entries(all).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

/**
 * Checks the page with axe (an accessibility checker) in the light and the dark theme. In the dark theme only
 * contrast is checked, because the other rules do not depend on colours.
 */
export async function assertAccessible(page: Page, state: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    if (colorScheme === 'light') await page.evaluate(AXE)
    const rules = colorScheme === 'dark' ? { runOnly: ['color-contrast'] } : {}
    const found = await page.evaluate(async (options) => {
      const axe = (window as unknown as { axe: { run(options: object): Promise<{ violations: unknown[] }> } })
        .axe
      const { violations } = await axe.run({ resultTypes: ['violations'], ...options })
      return violations as { id: string; nodes: { html: string; failureSummary: string }[] }[]
    }, rules)
    const violations = found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
    assert.deepEqual(violations, [], `${state}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
}

/** A phone, a window of 1280 × 1024 pixels at 200 % zoom, and a window with letters of twice the size. */
const SCREENS = [
  { name: '320 px', width: 320, height: 640, density: 1, letters: '' },
  { name: '200 %', width: 640, height: 512, density: 2, letters: '' },
  { name: 'letters at 200 %', width: 640, height: 900, density: 1, letters: '200%' },
]

/**
 * Returns by how many pixels the page is too wide, and up to three elements that cause this. Runs in the
 * browser.
 */
function overhang(): [number, string[]] {
  const { clientWidth, scrollWidth } = document.documentElement
  const out = [...document.querySelectorAll('main *')].filter(
    (element) => element.getBoundingClientRect().right > clientWidth + 1,
  )
  return [scrollWidth - clientWidth, out.slice(0, 3).map((element) => element.outerHTML.slice(0, 150))]
}

export async function assertFitsNarrow(page: Page, state: string): Promise<void> {
  const size = page.viewportSize() ?? { width: 1100, height: 900 }
  const screen = await page.context().newCDPSession(page)
  const setLetters = (letters: string) =>
    page.evaluate((fontSize) => document.documentElement.style.setProperty('font-size', fontSize), letters)
  for (const { name, width, height, density, letters } of SCREENS) {
    const metrics = { width, height, deviceScaleFactor: density, mobile: false }
    await screen.send('Emulation.setDeviceMetricsOverride', metrics)
    await setLetters(letters)
    assert.deepEqual(await page.evaluate(() => [innerWidth, devicePixelRatio]), [width, density])
    const [px, what] = await page.evaluate(overhang)
    assert.equal(px, 0, `${state} at ${name} is ${px} px too wide: ${what.join('\n')}`)
  }
  await setLetters('')
  await screen.detach()
  await page.setViewportSize({ width: size.width, height: size.height + 1 })
  await page.setViewportSize(size)
}
