/** Tests of the page's Content-Security-Policy in a real browser. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../support/browser.ts'
import { assertMatchesDatabase } from '../support/pagechecks.ts'
import { startScriptedAgent } from '../support/scripted-agent.ts'
import { needs } from '../support/tools.ts'

interface Violations {
  violations: string[]
}

/** Records each violation of the policy. Runs in the browser, before the page's own scripts. */
function recordViolations(): void {
  const violations: string[] = []
  ;(window as unknown as Violations).violations = violations
  document.addEventListener('securitypolicyviolation', (event) => {
    violations.push(`${event.violatedDirective} ${event.sample}`)
  })
}

test(
  'the page works without a violation of its policy, and a script cannot write HTML text into it',
  needs('chromium'),
  async (t) => {
    const agent = await startScriptedAgent(t)
    await agent.bringUp('miniflux')
    const { page, complaints } = await openPage(agent.address)
    await page.addInitScript(recordViolations)
    await page.reload()
    await page.locator('[data-app="node-red"] [data-action="install"]').click()
    await page.locator('article[data-app="node-red"][data-status="queued"]').waitFor()
    await agent.claim()
    await agent.build('\u001b[31mred & <b>bold</b>\u001b[0m')
    await page.locator('[data-log]').getByText('red & <b>bold</b>').waitFor()
    await agent.fail({ class: 'build', message: '<img src=x onerror=alert(1)>', log: ['<script>'] })
    await page.locator('article[data-app="node-red"][data-status="failed"] [data-cause]').waitFor()
    await page.locator('article[data-app="miniflux"] [data-action="uninstall"]').click()
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('article[data-app="node-red"] h3 a').click()
    await page.locator('tr[data-seq]').first().waitFor()
    await assertMatchesDatabase(page, agent.sql, { only: 'node-red' })
    assert.deepEqual(complaints, [])
    const violations = () => page.evaluate(() => (window as unknown as Violations).violations)
    assert.deepEqual(await violations(), [])
    const attempt = page.evaluate(() => {
      document.body.innerHTML = '<p>written</p>'
    })
    await assert.rejects(attempt, /TrustedHTML/)
    await page.waitForFunction(() => (window as unknown as Violations).violations.length === 1)
    assert.match((await violations())[0] ?? '', /^require-trusted-types-for /)
  },
)
