import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { startScriptedAgent } from '../support/scripted-agent.ts'
import { session } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

test('the page shows why the agent is not ready, until it is ready again', needs('chromium'), async (t) => {
  const agent = await startScriptedAgent(t)
  const { page, complaints, screenshot } = await openPage(agent.address)
  assert.equal(await page.locator('[data-cause]').count(), 0)
  await agent.request('install', 'node-red')
  const holder = await session(agent.databaseUrl)
  t.after(() => holder.end())
  await holder.query("set application_name = 'forgotten'; begin; select bloud.rename('node-red', 'Flows')")
  const waiting = agent.request('cancel', 'node-red')
  const shown = page.locator('.readiness [data-cause="locked"]')
  await shown.waitFor()
  assert.match((await shown.textContent()) ?? '', /application forgotten\) blocks another session\. End its/)
  await screenshot('not-ready')
  await holder.query('rollback')
  await waiting
  await shown.waitFor({ state: 'detached' })
  assert.deepEqual(complaints, [])
})
