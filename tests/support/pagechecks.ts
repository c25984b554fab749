/** What has to be true of the page in every state: it agrees with the database, and everybody can use it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type pg from 'pg'
import type { Page } from 'playwright-core'

const LIMIT_MS = 15_000
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Seen {
  status: string
  allowed: string[]
}

/** Runs in the page. */
function look(): Record<string, Seen> {
  const seen: Record<string, Seen> = {}
  for (const card of document.querySelectorAll<HTMLElement>('article[data-app][data-status]')) {
    const { app = '', status = '' } = card.dataset
    if (status === 'none') continue
    const buttons = [...card.querySelectorAll<HTMLElement>('[data-action]')]
    const on = buttons.filter((button) => button.getAttribute('aria-disabled') !== 'true')
    seen[app] = { status, allowed: on.map((button) => button.dataset.action ?? '').sort() }
  }
  return seen
}

/** What the cards should be by `bloud.app_status`. Where data may be deleted beside something milder, that is asked
 *  first; and a retry stands for the install it repeats. */
async function truth(sql: pg.Client): Promise<Record<string, Seen>> {
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
  /** The page of one app, which shows nothing of the others. */
  only?: string | undefined
  /** Without JavaScript nothing can be pressed. */
  buttons?: false | undefined
}

function expected(all: Record<string, Seen>, { only, buttons }: Expected): Record<string, Seen> {
  const some = Object.entries(all).filter(([name]) => only === undefined || name === only)
  return Object.fromEntries(
    some.map(([name, app]) => [name, buttons === false ? { ...app, allowed: [] } : app]),
  )
}

/** Waits until the cards and their buttons are what the database says. @throws with the difference after the limit. */
export async function agrees(page: Page, sql: pg.Client, what: Expected = {}): Promise<void> {
  const end = Date.now() + LIMIT_MS
  for (;;) {
    const wanted = expected(await truth(sql), what)
    const seen = expected(await page.evaluate(look).catch(leftForAnother), { buttons: what.buttons })
    const same = JSON.stringify(sorted(wanted)) === JSON.stringify(sorted(seen))
    if (same) return
    if (Date.now() > end) assert.deepEqual(seen, wanted)
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve))).catch(leftForAnother)
  }
}

/** A page that asks for itself anew may be on its way just now. */
function leftForAnother(error: Error): Record<string, Seen> {
  if (/context was destroyed/.test(error.message)) return {}
  throw error
}

const sorted = (all: Record<string, Seen>) =>
  Object.entries(all).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

/** Checks all rules of axe in light, and those about contrast in dark: the others do not depend on colours. */
export async function isAccessible(page: Page, state: string): Promise<void> {
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
    const told = found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
    assert.deepEqual(told, [], `${state}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
}

/** A phone; a browser zoomed to 200 % on 1280 × 1024, which is half as many pixels twice as dense; and letters alone at 200 %. */
const SCREENS = [
  { name: '320 px', width: 320, height: 640, density: 1, letters: '' },
  { name: '200 %', width: 640, height: 512, density: 2, letters: '' },
  { name: 'letters at 200 %', width: 640, height: 900, density: 1, letters: '200%' },
]

/** How much of the page is out at the right, in pixels, and what. Runs in the page. */
function overhang(): [number, string[]] {
  const { clientWidth, scrollWidth } = document.documentElement
  const out = [...document.querySelectorAll('main *')].filter(
    (one) => one.getBoundingClientRect().right > clientWidth + 1,
  )
  return [scrollWidth - clientWidth, out.slice(0, 3).map((one) => one.outerHTML.slice(0, 150))]
}

/** On a small screen, zoomed and with large letters nothing has to be scrolled sideways. */
export async function fitsNarrow(page: Page, state: string): Promise<void> {
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
