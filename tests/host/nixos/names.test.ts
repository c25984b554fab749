/** Tests of the NixOS host with names that every plain object inherits, such as `constructor`. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { readOutcome } from '../../../src/host/nixos/outcome.ts'
import { unitOf } from '../../../src/host/nixos/systemd.ts'
import { container, createTestMachine } from '../../support/nixos-host.ts'

test('an app called constructor is written and built like any other app', async (t) => {
  const { switchTo, paths } = await createTestMachine(t)
  const more = { environment: { constructor: 'a', toString: 'b' }, sso: { strategy: 'forward-auth' } }
  const app = await container('constructor', more)
  const identity = await container('authentik')
  const { result, state } = await switchTo([app, identity])
  assert.deepEqual([state, result], [{ state: 'exited', exitCode: 0 }, { failures: {} }])
  const { apps } = JSON.parse(await readFile(paths.apps, 'utf8'))
  const entry = apps.find(({ name }: { name: string }) => name === 'constructor')
  assert.deepEqual(entry.environment, { constructor: 'a', toString: 'b' })
  assert.match(await readFile(join(paths.blueprints, 'constructor.yaml'), 'utf8'), /bloud-constructor/)
})

test('a failed build of an app called constructor has a cause, class and log', () => {
  const lines = ['error: while evaluating bloud.apps.constructor.image: no such image']
  const { failures } = readOutcome(lines, 1, ['constructor', 'wiki'])
  assert.deepEqual(Object.keys(failures), ['constructor'])
  assert.equal(Object(failures).constructor?.class, 'evaluate')
})

test('an app called constructor has a container of its own, and its port is checked', async (t) => {
  assert.equal(unitOf('constructor', {}), 'podman-constructor.service')
  assert.equal(unitOf('constructor', { constructor: 'c.service' } as never), 'c.service')
  const { host } = await createTestMachine(t)
  const app = await container('constructor')
  const server = createServer().listen(app.port, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  assert.match((await host.preflight(app, [])) ?? '', new RegExp(`${app.port}`))
})
