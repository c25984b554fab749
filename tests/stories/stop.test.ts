/**
 * Tests that Ctrl-C stops all processes, also those that an earlier, killed agent has left, and that no
 * operation is lost.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { statePaths } from '../../src/host/local/paths.ts'
import { membersOf, readMark } from '../../src/system/processgroup.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { until } from '../support/local-host.ts'
import { startWholeAgent } from '../support/npmstart.ts'
import { letInstall, makeApp, makePackage } from '../support/packages.ts'
import { freePort } from '../support/port.ts'

const top = temporaryDirectory()

test('Ctrl-C during a rebuild ends all processes, and the next start finishes the rebuild', async (t) => {
  const [dataDir, catalog, packages] = [join(top, 'data'), join(top, 'catalog'), join(top, 'packages')]
  await mkdir(catalog)
  const spec = await makePackage(packages, { name: 'slow', behaviour: 'slow-install' })
  await writeFile(join(catalog, 'slow.yaml'), stringify(makeApp('slow', await freePort(), spec)))
  const port = await freePort()
  const start = async () => {
    const agent = startWholeAgent(dataDir, port, { BLOUD_CATALOG_DIR: catalog })
    t.after(() =>
      agent.child.exitCode === null && !agent.child.signalCode ? agent.end('SIGKILL') : undefined,
    )
    await agent.up()
    return agent
  }
  const status = async (): Promise<string | undefined> => {
    const apps = await (await fetch(`http://127.0.0.1:${port}/api/apps/installed`)).json()
    return (apps as { status: string }[])[0]?.status
  }
  const log = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${port}/api/operations/1/log`)).text()
  const ours = async () => membersOf({ marks: [await readMark(statePaths(join(dataDir, 'host')).mark)] })

  const first = await start()
  await until('the catalog is read', async () => (await fetch(`http://127.0.0.1:${port}/api/apps/slow`)).ok)
  await fetch(`http://127.0.0.1:${port}/api/apps/slow/install`, { method: 'POST' })
  await until('npm is at work', async () => (await log()).includes('preinstall is waiting'))
  assert.equal(await first.end('SIGINT'), 0)
  assert.deepEqual(await ours(), [], 'no switch, no npm, no supervisor')

  await letInstall(packages, 'slow')
  const second = await start()
  await until('it runs', async () => (await status()) === 'running')
  await second.end('SIGKILL') // the apps and their supervisor survive this signal
  assert.notDeepEqual(await ours(), [])
  const third = await start()
  assert.equal(await status(), 'running')
  assert.equal(await third.end('SIGINT'), 0)
  assert.deepEqual(await ours(), [], 'processes of the killed agent are stopped too')
})
