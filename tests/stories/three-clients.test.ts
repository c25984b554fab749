/** Tests that psql, the HTTP API and the page cause the same history for the same operations. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPage } from '../support/browser.ts'
import { type Home, makeHome } from '../support/home.ts'
import { makePackage } from '../support/packages.ts'
import { openPsql } from '../support/psql.ts'
import { needs } from '../support/tools.ts'

const APP = 'fickle'
type Verb = 'install' | 'retry' | 'cancel' | 'uninstall' | 'purge'
type Call = (verb: Verb) => Promise<unknown>

const LIFE = [
  ...['→queued', 'queued→configuring', 'configuring→building', 'building→failed'],
  ...['failed→queued', 'queued→configuring', 'configuring→building', 'building→failed'],
  ...['failed→stopping', 'stopping→stopped', 'stopped→'],
]

/** Requests an install that fails, a retry that is cancelled, an uninstall and a purge. */
async function callVerbs(home: Home, call: Call): Promise<void> {
  const known = Number((await home.sql.query('select count(*) from bloud.operations')).rows[0].count)
  await rm(join(home.packages, 'later'), { recursive: true, force: true })
  await call('install')
  await home.until(APP, 'failed')
  await makePackage(home.packages, { name: 'later', behaviour: 'slow-install' })
  await call('retry')
  await home.untilTrue(
    `select exists (select from bloud.rebuild_log l join bloud.operations o on o.rebuild_id = l.rebuild_id
      where l.line like '%preinstall is waiting%' and o.id = (select operation_id from bloud.apps where name = $1))`,
    [APP],
  )
  await call('cancel')
  await home.until(APP, 'failed')
  await call('uninstall')
  await home.until(APP, 'stopped')
  await call('purge')
  await home.until(APP, null)
  const { rows } = await home.sql.query('select count(*)::int as count from bloud.operations')
  assert.equal(rows[0].count - known, 4, 'one operation for each request')
}

/** Replaces times and durations in a row by placeholders, because they differ each time. */
const withoutTimes = (row: object): unknown =>
  JSON.parse(
    JSON.stringify(row)
      .replace(/\d{4}-\d\d-\d\dT[\d:_.]+Z/g, '<time>')
      .replace(/\b\d+(\.\d+)? ?m?s\b/g, '<duration>'),
  )

interface StoryHistory {
  transitions: string[]
  rows: unknown[]
  authors: string[]
}

/**
 * Returns the app's events after event number `seq` without numbers and times, and which client and role sent
 * each request.
 */
async function historySince(home: Home, seq: number): Promise<StoryHistory> {
  const { rows } = await home.sql.query(
    `select app, from_status, to_status, cause, display_name, version, port, is_system, integration_config
     from bloud.events where app = $1 and seq > $2 order by seq`,
    [APP, seq],
  )
  const authors = await home.sql.query(
    "select distinct origin || ' ' || actor as author from bloud.events where app = $1 and seq > $2 order by 1",
    [APP, seq],
  )
  return {
    transitions: rows.map((row) => `${row.from_status ?? ''}→${row.to_status ?? ''}`),
    rows: rows.map(withoutTimes),
    authors: authors.rows.map(({ author }) => author),
  }
}

async function historyOf(home: Home, call: Call): Promise<StoryHistory> {
  const { rows } = await home.sql.query('select coalesce(max(seq), 0) as seq from bloud.events')
  await callVerbs(home, call)
  return historySince(home, Number(rows[0].seq))
}

async function press(page: Page, verb: Verb): Promise<void> {
  const button = page.locator(
    `[data-app="${APP}"] [data-action="${verb}"]:not([aria-disabled="true"]):not([aria-busy="true"])`,
  )
  await button.first().waitFor({ state: 'attached' })
  if (!(await button.first().isVisible())) await page.locator(`[data-app="${APP}"] summary`).first().click()
  await button.first().click()
  if (verb === 'purge') await page.locator('[name="confirm-name"]').fill(APP)
  if (verb === 'uninstall' || verb === 'purge') await page.locator(`[data-confirm="${verb}"]`).click()
}

test('psql, HTTP and the page leave the same history, except for origin and actor', {
  skip: needs('psql').skip || needs('chromium').skip,
}, async (t) => {
  const home = await makeHome(t)
  const npm = { package: `file:${join(home.packages, 'later')}`, bin: 'app' }
  await home.addApp(APP, 'healthy', { npm: { ...npm, installScripts: ['bloud-test-later'] } })
  await home.orchestrator()
  const { address } = await home.relay()

  const psql = await openPsql(home.database.urlFor('bloud_operator'))
  const byPsql = await historyOf(home, (verb) =>
    psql.type(
      verb === 'purge'
        ? `select bloud.uninstall('${APP}', purge => '${APP}');`
        : `select bloud.${verb}('${APP}');`,
    ),
  )
  await psql.close()
  assert.deepEqual(byPsql.transitions, LIFE)

  const byHttp = await historyOf(home, async (verb) => {
    const purge = verb === 'purge'
    const answer = await fetch(`${address}/api/apps/${APP}/${purge ? 'uninstall' : verb}`, {
      method: 'POST',
      ...(purge && { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ purge: APP }) }),
    })
    assert.equal(answer.status, 202, await answer.text())
  })
  const { page, complaints } = await openPage(address)
  const byPage = await historyOf(home, (verb) => press(page, verb))
  assert.deepEqual(complaints, [])

  assert.deepEqual(byHttp.rows, byPsql.rows)
  assert.deepEqual(byPage.rows, byPsql.rows)
  assert.deepEqual(
    [byPsql, byHttp, byPage].map(({ authors }) => authors),
    [
      ['agent bloud_orchestrator', 'psql bloud_psql'],
      ['agent bloud_orchestrator', 'api bloud_operator'],
      ['agent bloud_orchestrator', 'web bloud_operator'],
    ],
  )
})
