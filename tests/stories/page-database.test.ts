import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { databaseUrl, readCredentials } from '../../src/postgres/embedded.ts'
import { openPage } from '../support/browser.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startWholeAgent } from '../support/npmstart.ts'
import { letInstall, makeApp, makePackage } from '../support/packages.ts'
import { assertMatchesDatabase } from '../support/pagechecks.ts'
import { freePort } from '../support/port.ts'
import { session } from '../support/sql.ts'
import { needs } from '../support/tools.ts'

const RUNNING_LIMIT_MS = 90_000

const top = temporaryDirectory()

test(
  'a kill of PostgreSQL during an install makes the page stale, then live again, and the install succeeds',
  needs('chromium'),
  async (t) => {
    const [dataDir, catalogDir, packages] = [join(top, 'data'), join(top, 'catalog'), join(top, 'packages')]
    await mkdir(catalogDir)
    const port = await freePort()
    const spec = await makePackage(packages, { name: 'slow', behaviour: 'slow-install' })
    await writeFile(join(catalogDir, 'slow.yaml'), stringify(makeApp('slow', port, spec)))
    const agent = startWholeAgent(dataDir, await freePort(), { BLOUD_CATALOG_DIR: catalogDir })
    t.after(() => agent.end('SIGTERM'))
    await agent.up()
    const { page, shown, screenshot } = await openPage(agent.address)
    await page.locator('[data-app="slow"] [data-action="install"]').click()
    await page.locator('[data-log]').getByText('preinstall is waiting').waitFor()

    const [pid] = (await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')
    process.kill(Number(pid), 'SIGKILL')
    await page.locator('[data-connection="stale"]').waitFor()
    await screenshot('database-died')
    await page.locator('[data-connection="live"]').waitFor({ timeout: RUNNING_LIMIT_MS })
    await letInstall(packages, 'slow')
    await page
      .locator('article[data-app="slow"][data-status="running"]')
      .waitFor({ timeout: RUNNING_LIMIT_MS })
    const steps = (await shown('slow')).filter((status) => status !== 'none')
    assert.deepEqual(steps, ['queued', 'configuring', 'building', 'starting', 'running'])
    const facts = await readCredentials(dataDir)
    assert.ok(facts)
    const sql = await session(databaseUrl(facts, 'superuser'))
    t.after(() => sql.end())
    await assertMatchesDatabase(page, sql)
  },
)
