/** Tests that /readyz of the whole agent reports a part that does not work. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { statePaths } from '../../src/host/local/paths.ts'
import { supervisorState } from '../../src/host/local/statefiles.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startWholeAgent } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'

const LIMIT_MS = 90_000
const dataDir = join(temporaryDirectory(), 'data')
const paths = statePaths(join(dataDir, 'host'))

test('an agent whose supervisor can not be restarted is not ready until the supervisor runs', async (t) => {
  const agent = startWholeAgent(dataDir, await freePort())
  t.after(() => agent.end('SIGTERM'))
  await agent.up()
  const readyz = async () => (await fetch(`${agent.address}/readyz`)).json()
  const isReady = async () => (await readyz()).ready
  assert.ok(await pollUntil(isReady, LIMIT_MS), 'the agent is not ready')

  // A folder in the place of its log makes every start of the supervisor fail.
  await fs.rm(paths.supervisorLog)
  await fs.mkdir(paths.supervisorLog)
  process.kill((await supervisorState(paths))?.pid as number, 'SIGKILL')
  const found = await pollUntil(async () => {
    const { causes } = await readyz()
    return causes.find(({ cause }: { cause: string }) => cause === 'supervisor')
  }, LIMIT_MS)
  assert.match(found?.sentence ?? '', /^The supervisor, which runs the apps, does not run\.$/)
  assert.ok(found.hint.includes(paths.supervisorLog))

  await fs.rmdir(paths.supervisorLog)
  assert.ok(await pollUntil(isReady, LIMIT_MS), 'the agent is not ready again')
})
