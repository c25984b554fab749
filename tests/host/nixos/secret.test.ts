import assert from 'node:assert/strict'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDerive, readHostSecret } from '../../../src/host/nixos/secret.ts'
import { until } from '../../support/local-host.ts'
import { createTestMachine, image } from '../../support/nixos-host.ts'

const wiki = {
  name: 'wiki',
  port: 8000,
  integrationConfig: { database: ['postgres'] },
  catalog: image('wiki', 8000, {
    bootstrap: { secrets: ['SESSION_KEY'], database: { password: 'PGPASSWORD', url: 'DATABASE_URL' } },
    sso: { strategy: 'native-oidc', callbackPath: '/cb', env: { clientSecret: 'OIDC_SECRET' } },
  }),
}
const authentik = { name: 'authentik', port: 9000, integrationConfig: {}, catalog: image('authentik', 9000) }

async function filesUnder(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

test('secrets are files and directories that only the agent may open', async (t) => {
  const { host, paths } = await createTestMachine(t)
  const before = process.umask(0o000)
  t.after(() => process.umask(before))
  await host.configure([authentik, wiki])
  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
  const files = [...(await filesUnder(paths.secrets)), ...(await filesUnder(paths.clients))]
  assert.equal(files.length, 4)
  for (const file of [...files, join(paths.state, 'host-secret')]) assert.equal(await mode(file), '600', file)
  for (const dir of [paths.secrets, paths.clients, join(paths.secrets, 'wiki')]) {
    assert.equal(await mode(dir), '700', dir)
  }
  await chmod(join(paths.clients, 'wiki'), 0o644)
  await host.configure([authentik, wiki])
  assert.equal(await mode(join(paths.clients, 'wiki')), '600', 'the mode is restored')
})

test('a secret is only in its own file, not in configuration, logs, arguments or environments', async (t) => {
  const { host, dataDir, paths, scenario, held, processes } = await createTestMachine(t)
  await scenario({ hang: 'build' })
  await host.configure([authentik, wiki])
  await host.startSwitch({ id: '1-1' })
  await until('nixos-rebuild hangs', held)
  const own = [...(await filesUnder(paths.secrets)), ...(await filesUnder(paths.clients))]
  const secrets = await Promise.all(own.map((file) => readFile(file, 'utf8')))
  const hostSecret = await readFile(join(paths.state, 'host-secret'))
  secrets.push(hostSecret.toString('latin1'), hostSecret.toString('base64'), hostSecret.toString('hex'))
  const others = (await filesUnder(dataDir)).filter(
    (file) => !own.includes(file) && !/host-secret$/.test(file),
  )
  const pids = await processes()
  assert.equal(pids.length, 2)
  const readable = [...others, ...pids.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`])]
  for (const file of readable) {
    const text = await readFile(file, 'latin1')
    for (const secret of secrets) assert.ok(!text.includes(secret), `${file} contains a secret`)
  }
  assert.ok(others.some((file) => file.endsWith('apps.json')) && others.some((file) => file.endsWith('/log')))
  assert.equal(await host.stopSwitch({ id: '1-1' }), true)
})

test('secrets are the same for the same host, app and purpose, and different for any other', async (t) => {
  const { host, paths, dataDir } = await createTestMachine(t)
  await host.configure([authentik, wiki])
  const secret = () => readFile(join(paths.clients, 'wiki'), 'utf8')
  const first = await secret()
  await writeFile(join(paths.clients, 'wiki'), 'spoilt')
  await host.configure([authentik, wiki])
  assert.equal(await secret(), first)
  const [here, elsewhere] = [
    createDerive(await readHostSecret(join(paths.state, 'host-secret'))),
    createDerive(await readHostSecret(join(dataDir, 'another'))),
  ]
  assert.equal(here('wiki', 'oauth2-client-secret'), first)
  const others = [
    here('wiki', 'database-password'),
    here('wikis', 'oauth2-client-secret'),
    elsewhere('wiki', 'oauth2-client-secret'),
  ]
  assert.equal(new Set([first, ...others]).size, 4)
})

test('concurrent callers all get the same host secret', async (t) => {
  const { dataDir } = await createTestMachine(t)
  const path = join(dataDir, 'fresh/secret')
  const all = await Promise.all(Array.from({ length: 20 }, () => readHostSecret(path)))
  assert.equal(new Set(all.map((secret) => secret.toString('hex'))).size, 1)
  assert.deepEqual(await readdir(join(dataDir, 'fresh')), ['secret'])
})

test('a host secret that is too short is refused and stays', async (t) => {
  const { dataDir } = await createTestMachine(t)
  const path = join(dataDir, 'short')
  await writeFile(path, 'x'.repeat(31))
  await assert.rejects(readHostSecret(path), /contains 31 bytes; a host secret has at least 32/)
  assert.equal(await readFile(path, 'utf8'), 'x'.repeat(31))
})

test('the secrets of an uninstalled app are kept for one more configuration', async (t) => {
  const { host, paths } = await createTestMachine(t)
  await host.configure([authentik, wiki])
  await host.configure([authentik])
  assert.deepEqual(await readdir(paths.secrets), ['wiki'], 'its container may still be running')
  await host.configure([authentik])
  assert.deepEqual([await readdir(paths.secrets), await readdir(paths.clients)], [[], []])
  await host.configure([authentik, wiki])
  await host.configure([authentik])
  await host.removeData('wiki')
  assert.deepEqual([await readdir(paths.secrets), await readdir(paths.clients)], [[], []])
})
