import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeHome } from '../support/home.ts'
import { until } from '../support/local-host.ts'

const asRoot = { skip: process.getuid?.() === 0 ? false : 'only root runs apps as another user' }

test('files of an orchestrator that root starts alone are not readable for apps', asRoot, async (t) => {
  const home = await makeHome(t)
  await home.orchestrator()
  const file = join(home.dataDir, 'host/config/apps.json')
  const found = await until('the configuration is written', () => stat(file).catch(() => null))
  assert.equal(found.mode & 0o077, 0)
})
