import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { assertAccessible, assertFitsNarrow, assertMatchesDatabase } from '../support/pagechecks.ts'
import { type ScriptedAgent, startScriptedAgent } from '../support/scripted-agent.ts'
import { value } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

/**
 * Installs an app as the orchestrator does. The machine's generation (a complete configuration that can be
 * activated again) changes from `from` to `to`.
 */
async function install(
  { request, claim, sql, health }: ScriptedAgent,
  app: string,
  from: string,
  to: string,
) {
  await request('install', app)
  await claim()
  await sql.query(
    `select bloud.begin_run(l.attempt, r.id, $1, (select jsonb_object_agg(d.name, jsonb_build_object('version', d.version,
      'port', d.port, 'integration_config', d.integration_config)) from bloud.desired_apps d))
      from bloud.lease l, bloud.rebuilds r where r.state = 'active'`,
    [from],
  )
  await endRebuild(sql, to)
  await health(app, true)
}

const endRebuild = (sql: ScriptedAgent['sql'], to: string) =>
  sql.query(
    "select bloud.end_rebuild(l.attempt, r.id, true, 0, $1) from bloud.lease l, bloud.rebuilds r where r.state = 'active'",
    [to],
  )

test(
  'an unhealthy app offers a rollback, the dialog lists its effects, and the app is stopped afterwards',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await install(agent, 'gitea', '1', '2')
    await install(agent, 'node-red', '2', '3')
    await agent.health('node-red', false, {
      class: 'health',
      message: 'It answers 503',
      hint: 'Look at its log.',
    })
    const opened = await openPage(agent.address, { path: '/apps/node-red' })
    const { page } = opened
    const button = page.getByRole('button', { name: 'Roll back because of Node-RED' })
    await button.waitFor()
    await assertAccessible(page, 'roll back')
    await assertFitsNarrow(page, 'roll back')
    await opened.screenshot('rollback-card')

    await button.click()
    const dialog = page.getByRole('dialog', { name: 'Roll back this machine?' })
    await dialog.getByText('Switched off, with the data kept: node-red').waitFor()
    await assertAccessible(page, 'roll back, asked')
    await opened.screenshot('rollback-asked')
    await dialog.getByText('Not now').click()
    await dialog.waitFor({ state: 'detached' })
    assert.equal(
      await value(agent.sql, "select count(*)::int from bloud.operations where kind = 'rollback'"),
      0,
    )

    await button.click()
    await dialog.locator('[data-confirm="rollback"]').click()
    await page.locator('article[data-app="node-red"][data-status="stopping"]').waitFor()
    await agent.claim()
    await endRebuild(agent.sql, '2')
    await page.locator('article[data-app="node-red"][data-status="stopped"]').waitFor()
    await assertMatchesDatabase(page, agent.sql, { only: 'node-red' })
    assert.equal(
      await value(agent.sql, "select state from bloud.operations where kind = 'rollback'"),
      'succeeded',
    )
    assert.equal(await value(agent.sql, "select origin from bloud.operations where kind = 'rollback'"), 'web')
  },
)

test(
  'a rollback that is not allowed shows the reason, and a click checks again',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await install(agent, 'gitea', '1', '2')
    await agent.health('gitea', false, { class: 'health', message: 'It answers 503' })
    await agent.request('install', 'node-red')
    const opened = await openPage(agent.address, { path: '/apps/gitea' })
    const { page } = opened
    const button = page.locator('[data-rollback][aria-disabled="true"]')
    await button.waitFor()
    await page.getByText('Other work is on its way. Under way: install node-red.').waitFor()
    await assertAccessible(page, 'roll back, refused')
    await opened.screenshot('rollback-refused')
    await agent.request('cancel', 'node-red')
    await button.click({ force: true })
    await page.getByRole('dialog', { name: 'Roll back this machine?' }).waitFor()
  },
)

test(
  'the number of failed apps does not change how often the page requests the preview of a rollback',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    const unhealthy = ['gitea', 'node-red', 'verdaccio', 'tiddlywiki']
    await agent.bringUp(...unhealthy)
    for (const app of unhealthy)
      await agent.health(app, false, { class: 'health', message: 'It answers 503' })
    const { page } = await openPage(agent.address)
    let requests = 0
    page.on('request', (request) => {
      if (request.url().endsWith('/api/rollback')) requests += 1
    })
    await page.reload()
    await page
      .locator('[data-rollback]')
      .nth(unhealthy.length - 1)
      .waitFor()
    await page.locator('[data-connection="live"]').waitFor()
    // The page requests it when it is loaded, and for the event `refresh` that a resumed stream is sent.
    assert.ok(requests >= 1 && requests <= 2, `${requests} requests`)
  },
)
