/** What has to be true of the page in every state: it agrees with the database, and everybody can use it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type pg from 'pg'
import type { Page } from 'playwright-core'

const LIMIT_MS = 15_000
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const NARROW_PX = 320

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

/** Waits until the cards and their buttons are what the database says. @throws with the difference after the limit. */
export async function agrees(page: Page, sql: pg.Client): Promise<void> {
  const end = Date.now() + LIMIT_MS
  for (;;) {
    const [wanted, seen] = [await truth(sql), await page.evaluate(look)]
    const same = JSON.stringify(sorted(wanted)) === JSON.stringify(sorted(seen))
    if (same) return
    if (Date.now() > end) assert.deepEqual(seen, wanted)
    await page.waitForFunction(() => new Promise((resolve) => requestAnimationFrame(() => resolve(true))))
  }
}

const sorted = (all: Record<string, Seen>) =>
  Object.entries(all).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

/** No violation that axe knows of, light or dark. */
export async function isAccessible(page: Page, state: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await page.evaluate(AXE)
    const found = await page.evaluate(async () => {
      const axe = (window as unknown as { axe: { run(options: object): Promise<{ violations: unknown[] }> } })
        .axe
      const { violations } = await axe.run({ resultTypes: ['violations'] })
      return violations as { id: string; nodes: { html: string; failureSummary: string }[] }[]
    })
    const told = found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
    assert.deepEqual(told, [], `${state}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
}

/** At 320 px, and at 200 % on 640 px (which is the same to the page), nothing has to be scrolled sideways. */
export async function fitsNarrow(page: Page, state: string): Promise<void> {
  const size = page.viewportSize() ?? { width: 1100, height: 900 }
  await page.setViewportSize({ width: NARROW_PX, height: 640 })
  const [width, wide] = await page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement
    const out = [...document.querySelectorAll('main *')].filter(
      (one) => one.getBoundingClientRect().right > clientWidth + 1,
    )
    return [scrollWidth - clientWidth, out.slice(0, 3).map((one) => one.outerHTML.slice(0, 150))] as const
  })
  assert.equal(width, 0, `${state} is ${width} px too wide: ${wide.join('\n')}`)
  await page.setViewportSize(size)
}
