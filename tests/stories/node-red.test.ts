/**
 * Tests what a new user does first: start the agent with `npm start`, and install Node-RED from the npm
 * registry.
 */
import assert from 'node:assert/strict'
import { access, chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProcess } from '../support/agent.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startWholeAgent } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'

const INSTALL_LIMIT_MS = 5 * 60_000
const COLUMNS =
  'id name display_name version status port is_system integration_config installed_at updated_at'.split(' ')

const top = temporaryDirectory()

interface Frame {
  id: string | undefined
  status: string | undefined
  name: string | undefined
}

function appEvents(printed: string): Frame[] {
  const frames = printed.split('\n\n').filter((frame) => /^event: app$/m.test(frame))
  return frames.map((frame) => {
    const data = JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? '{}')
    return { id: /^id: (.*)$/m.exec(frame)?.[1], status: data.to_status ?? undefined, name: data.name }
  })
}

test('Node-RED is installed from the registry, followed with curl, opened, uninstalled and purged', async (t) => {
  await chmod(top, 0o700)
  // By default the data directory is inside the repository, whose package.json has the type "module". Node
  // also applies this type to apps below it, unless they have their own package.json.
  await writeFile(join(top, 'package.json'), '{ "type": "module" }')
  const dataDir = join(top, 'data')
  await mkdir(dataDir, { mode: 0o700 })
  const agent = startWholeAgent(dataDir, await freePort())
  t.after(() => agent.end('SIGTERM'))
  await agent.up()
  const curl = startProcess('curl', ['-sN', `${agent.address}/api/events`])
  t.after(() => curl.end('SIGTERM'))
  await curl.waitFor(/event: snapshot/)

  const post = (verb: string, body?: object): Promise<Response> =>
    fetch(`${agent.address}/api/apps/node-red/${verb}`, {
      method: 'POST',
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  const accepted = await post('install')
  assert.equal(accepted.status, 202)
  assert.equal(((await accepted.json()) as { app: string }).app, 'node-red')

  await curl.waitFor(/"to_status":"(running|error|failed)"/, INSTALL_LIMIT_MS)
  const events = appEvents(curl.output()).filter(({ name }) => name === 'node-red')
  assert.deepEqual(
    events.map(({ status }) => status),
    ['queued', 'configuring', 'building', 'starting', 'running'],
  )
  assert.ok(
    events.every(({ id }) => /^\w+\.\d+$/.test(id ?? '')),
    'each with an id',
  )
  assert.match(await (await fetch('http://127.0.0.1:1880')).text(), /Node-RED/)

  const installed = (await (await fetch(`${agent.address}/api/apps/installed`)).json()) as object[]
  assert.deepEqual(installed.map(Object.keys), [COLUMNS])

  const log = await (await fetch(`${agent.address}/api/operations/1/log`)).text()
  assert.match(log, /installing node-red@\d/)

  assert.equal((await post('uninstall')).status, 202)
  await curl.waitFor(/"to_status":"stopped"/)
  await assert.rejects(fetch('http://127.0.0.1:1880'), 'its process is gone')
  await access(join(dataDir, 'apps/node-red'))

  assert.equal((await post('uninstall', { purge: 'node-red' })).status, 202)
  await curl.waitFor(/"to_status":null/)
  assert.deepEqual(await (await fetch(`${agent.address}/api/apps/installed`)).json(), [])
  await assert.rejects(access(join(dataDir, 'apps/node-red')), 'its data is gone')
})
