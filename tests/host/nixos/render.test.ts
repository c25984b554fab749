import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../../src/config.ts'
import type { CatalogApp } from '../../../src/domain/catalog.ts'
import { parseCatalogFile } from '../../../src/domain/catalogfile.ts'
import type { WantedApp } from '../../../src/host/contract.ts'
import { readCatalog } from '../../../src/orchestrator/catalogdirectory.ts'
import { hostileTexts } from '../../support/hostile-texts.ts'
import { container, createTestMachine, image } from '../../support/nixos-host.ts'

const TEXTS = 10_000
const NIX_LIMIT_MS = 60_000

const app = (name: string, more: object = {}, integrationConfig = {}): WantedApp => ({
  name,
  port: 8000,
  catalog: image(name, 8000, more),
  integrationConfig,
})

const hasNix = (() => {
  try {
    return execFileSync('nix-instantiate', ['--version'], { encoding: 'utf8' }).length > 0
  } catch {
    return false
  }
})()

function readByNix(dir: string): unknown {
  const expression = 'builtins.fromJSON (builtins.readFile ./apps.json)'
  const args = ['--eval', '--strict', '--json', '-E', expression]
  const output = execFileSync('nix-instantiate', args, {
    cwd: dir,
    encoding: 'utf8',
    timeout: NIX_LIMIT_MS,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return JSON.parse(output)
}

test(`${TEXTS} hostile texts are unchanged in apps.json`, async (t) => {
  const { host, paths } = await createTestMachine(t)
  const texts = hostileTexts(TEXTS)
  const environment = Object.fromEntries(texts.map((text, index) => [`V${index}`, text]))
  await host.configure([app('hostile', { environment, displayName: `\${x} '' "` })])
  const written = JSON.parse(await readFile(paths.apps, 'utf8'))
  assert.deepEqual(written.apps[0].environment, environment)

  await t.test('Nix reads them unchanged too', { skip: hasNix ? false : 'no Nix here' }, () => {
    assert.deepEqual(readByNix(dirname(paths.apps)), written)
  })
})

test('text that Nix cannot read is refused with a reason before any file is written', async (t) => {
  const { host, paths } = await createTestMachine(t)
  for (const text of ['a\0b', 'half \ud800 a character']) {
    const bad = app('bad', { environment: { TEXT: text } })
    assert.match(host.cannotInstall(bad.catalog) ?? '', /^bad can't be installed on this host: .* characters/)
    await assert.rejects(host.configure([bad]), /bad can't be configured/)
  }
  await assert.rejects(stat(paths.apps), { code: 'ENOENT' })
})

test('a name that could lead out of a folder is refused before any file is written', async (t) => {
  const { host, paths } = await createTestMachine(t)
  for (const name of ['../other', '_outposts', ''])
    await assert.rejects(
      async () => host.configure([{ ...app('other'), name }]),
      new RegExp(`"${name}" is not an app name`),
    )
  assert.equal(existsSync(paths.apps), false)
})

test('the same apps give the same bytes, in any order of apps and keys', async (t) => {
  const { host, paths } = await createTestMachine(t)
  const one = app('one', { environment: { A: '1', B: '2' }, resources: { memory: '1G', cpus: 2 } })
  const other = app('one', { resources: { cpus: 2, memory: '1G' }, environment: { B: '2', A: '1' } })
  await host.configure([app('two'), one])
  const [text, { mtimeMs }] = [await readFile(paths.apps, 'utf8'), await stat(paths.apps)]
  await host.configure([other, app('two')])
  assert.equal(await readFile(paths.apps, 'utf8'), text)
  assert.equal((await stat(paths.apps)).mtimeMs, mtimeMs, 'an unchanged file is not written again')
  assert.deepEqual(await readdir(dirname(paths.apps)), ['apps.json'])
})

test('apps.json contains all values that a container needs', async (t) => {
  const { host, paths, dataDir } = await createTestMachine(t)
  const more = {
    containerPort: 80,
    volumes: ['data:/data', 'media:/media:ro', { name: 'conf', container: '/etc/app' }],
    environment: { LEVEL: 3, DEBUG: false },
    resources: { memory: '512M' },
    bootstrap: {
      database: { host: 'PGHOST', password: 'PGPASSWORD', url: 'DATABASE_URL', name: 'PGDATABASE' },
    },
  }
  const choices = { database: ['postgres'], sso: ['authentik'], self: ['feed-reader'], cache: 'redis' }
  await host.configure([app('feed-reader', more, choices), app('postgres'), app('redis')])
  const { apps } = JSON.parse(await readFile(paths.apps, 'utf8'))
  const secrets = `${dataDir}/nixos/secrets/feed-reader`
  assert.deepEqual(apps[0], {
    name: 'feed-reader',
    displayName: 'feed-reader',
    image: 'example/feed-reader:1',
    port: 8000,
    containerPort: 80,
    volumes: [
      { name: 'data', container: '/data' },
      { name: 'media', container: '/media', readOnly: true },
      { name: 'conf', container: '/etc/app' },
    ],
    environment: {
      LEVEL: '3',
      DEBUG: 'false',
      PGHOST: 'host.containers.internal',
      PGDATABASE: 'feed_reader',
    },
    secretFiles: { PGPASSWORD: `${secrets}/DATABASE_PASSWORD`, DATABASE_URL: `${secrets}/DATABASE_URL` },
    dependsOn: ['postgres', 'redis'],
    database: { name: 'feed_reader', role: 'feed_reader', passwordFile: `${secrets}/DATABASE_PASSWORD` },
    healthCheck: { path: '/health', interval: 0.2, timeout: 20 },
    resources: { memory: '512M' },
  })
})

test('a value that nix/app-options.nix would refuse is refused with the name of its key', async (t) => {
  const { host } = await createTestMachine(t)
  const why = (more: object) => host.cannotInstall(image('odd', 8000, more)) ?? ''
  assert.equal(host.cannotInstall(image('good', 8000)), null)
  assert.match(why({ image: undefined }), /names no container image/)
  assert.match(why({ image: 'a b; rm -rf /' }), /is not an image name/)
  assert.match(why({ volumes: ['../../etc:/etc'] }), /its volume "\.\.\/\.\.\/etc:\/etc"/)
  assert.match(why({ volumes: ['data:/a/../..'] }), /its volume/)
  assert.match(why({ volumes: ['data:/a:z,exec'] }), /its volume/)
  assert.match(why({ resources: { memory: 'lots' } }), /resources\.memory/)
  assert.match(
    why({ bootstrap: { command: ['--privileged'] } }),
    /bootstrap\.command must be a list of plain words/,
  )
})

test('a port that another app or another program uses is reported before the build', async (t) => {
  const { host } = await createTestMachine(t)
  const first = await container('first')
  await host.configure([first])
  assert.equal(await host.preflight(first, []), null)
  const second = { ...(await container('second')), port: first.port }
  assert.equal(await host.preflight(second, ['first']), `Port ${first.port} is already used by first.`)
  const server = createServer().listen(first.port, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  assert.match((await host.preflight(first, [])) ?? '', /used by another program/)
})

test('every app of the catalog can be configured with all of its compatible integrations', async (t) => {
  const { host } = await createTestMachine(t)
  const { files } = await readCatalog(join(ROOT, 'nix/catalog'))
  const apps = files
    .map(({ app: catalog }) => ({ catalog, name: catalog.name, port: catalog.port }))
    .map((known) => ({ ...known, integrationConfig: allChoices(known.catalog) }))
    .filter(({ catalog }) => catalog.image !== undefined)
  assert.ok(apps.length > 10)
  for (const { catalog } of apps) assert.equal(host.cannotInstall(catalog), null)
  assert.deepEqual(await host.configure(apps), { warnings: {} })
})

const allChoices = ({ integrations }: CatalogApp): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(integrations).map(([slot, { compatible }]) => [slot, compatible.map((one) => one.app)]),
  )

test('numbers and words in a volume, in limits and in sign-in settings are read as they are written', async (t) => {
  const { host, paths } = await createTestMachine(t)
  const text = `name: wiki
displayName: Wiki
category: test
port: 8000
image: example/wiki
volumes: [{ name: 0123, container: /data, readOnly: yes }]
resources: { memory: , cpus: 1.50 }
sso: { strategy: native-oidc, callbackPath: /back, providerName: 2024, env: { providerName: NAME } }
`
  const parsed = parseCatalogFile(text, 'wiki.yaml')
  assert.ok('ok' in parsed, JSON.stringify(parsed))
  assert.equal(host.cannotInstall(parsed.ok), null)
  const wiki = { ...app('wiki'), catalog: parsed.ok }
  assert.deepEqual(await host.configure([app('authentik'), wiki]), { warnings: {} })
  const entry = JSON.parse(await readFile(paths.apps, 'utf8')).apps[1]
  assert.deepEqual(entry.volumes, [{ name: '0123', container: '/data', readOnly: true }])
  assert.deepEqual([entry.resources, entry.environment], [{ cpus: '1.50' }, { NAME: '2024' }])
})
