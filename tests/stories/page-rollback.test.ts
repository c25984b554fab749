/** The button on the failure card that takes the machine back to what was on before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { agrees, fitsNarrow, isAccessible } from '../support/pagechecks.ts'
import { openStage, type Stage } from '../support/scripted-agent.ts'
import { value } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

/** As the orchestrator does it: with the generations, and what was configured for each. */
async function install({ ask, claim, sql, health }: Stage, app: string, from: string, to: string) {
  await ask('install', app)
  await claim()
  await sql.query(
    `select bloud.begin_run(l.attempt, r.id, $1, (select jsonb_object_agg(d.name, jsonb_build_object('version', d.version,
      'port', d.port, 'integration_config', d.integration_config)) from bloud.desired_apps d))
      from bloud.lease l, bloud.rebuilds r where r.state = 'active'`,
    [from],
  )
  await switched(sql, to)
  await health(app, true)
}

const switched = (sql: Stage['sql'], to: string) =>
  sql.query(
    "select bloud.end_rebuild(l.attempt, r.id, true, 0, $1) from bloud.lease l, bloud.rebuilds r where r.state = 'active'",
    [to],
  )

test(
  'an unhealthy app offers to roll back, says what that means, and is off after it',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await install(stage, 'gitea', '1', '2')
    await install(stage, 'node-red', '2', '3')
    await stage.health('node-red', false, {
      class: 'health',
      message: 'It answers 503',
      hint: 'Look at its log.',
    })
    const opened = await openPage(stage.address, { path: '/apps/node-red' })
    const { page } = opened
    const button = page.getByRole('button', { name: 'Roll back because of Node-RED' })
    await button.waitFor()
    await isAccessible(page, 'roll back')
    await fitsNarrow(page, 'roll back')
    await opened.screenshot('rollback-card')

    await button.click()
    const dialog = page.getByRole('dialog', { name: 'Roll back this machine?' })
    await dialog.getByText('Switched off, with the data kept: node-red').waitFor()
    await isAccessible(page, 'roll back, asked')
    await opened.screenshot('rollback-asked')
    await dialog.getByText('Not now').click()
    await dialog.waitFor({ state: 'detached' })
    assert.equal(
      await value(stage.sql, "select count(*)::int from bloud.operations where kind = 'rollback'"),
      0,
    )

    await button.click()
    await dialog.locator('[data-confirm="rollback"]').click()
    await page.locator('article[data-app="node-red"][data-status="stopping"]').waitFor()
    await stage.claim()
    await switched(stage.sql, '2')
    await page.locator('article[data-app="node-red"][data-status="stopped"]').waitFor()
    await agrees(page, stage.sql, { only: 'node-red' })
    assert.equal(
      await value(stage.sql, "select state from bloud.operations where kind = 'rollback'"),
      'succeeded',
    )
    assert.equal(await value(stage.sql, "select origin from bloud.operations where kind = 'rollback'"), 'web')
  },
)

test(
  'where it is not allowed the reason is beside it, and pressing it looks again',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    await install(stage, 'gitea', '1', '2')
    await stage.health('gitea', false, { class: 'health', message: 'It answers 503' })
    await stage.ask('install', 'node-red')
    const opened = await openPage(stage.address, { path: '/apps/gitea' })
    const { page } = opened
    const button = page.locator('[data-rollback][aria-disabled="true"]')
    await button.waitFor()
    await page.getByText('Other work is on its way. Under way: install node-red.').waitFor()
    await isAccessible(page, 'roll back, refused')
    await opened.screenshot('rollback-refused')
    await stage.ask('cancel', 'node-red')
    await button.click({ force: true })
    await page.getByRole('dialog', { name: 'Roll back this machine?' }).waitFor()
  },
)

test(
  'however many apps offer it, the page asks once what a rollback of the machine would do',
  needs('chromium'),
  async (t) => {
    const stage = await openStage(t)
    const unhealthy = ['gitea', 'node-red', 'verdaccio', 'tiddlywiki']
    await stage.bring(...unhealthy)
    for (const app of unhealthy)
      await stage.health(app, false, { class: 'health', message: 'It answers 503' })
    const { page } = await openPage(stage.address)
    let asked = 0
    page.on('request', (request) => {
      if (request.url().endsWith('/api/rollback')) asked += 1
    })
    await page.reload()
    await page
      .locator('[data-rollback]')
      .nth(unhealthy.length - 1)
      .waitFor()
    await page.locator('[data-connection="live"]').waitFor()
    assert.equal(asked, 1)
  },
)
