import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../support/tools.ts'
import { app, errorOf, type System, system } from './support.ts'

const nix = needs('nix')
const SECRETS = '/var/lib/bloud/nixos/secrets'

const miniflux = app('miniflux', {
  image: 'docker.io/miniflux/miniflux:2.2.14@sha256:0123456789abcdef',
  port: 8085,
  containerPort: 8080,
  volumes: [
    { name: 'data', container: '/data' },
    { name: 'themes', container: '/themes', readOnly: true },
  ],
  environment: { RUN_MIGRATIONS: '1', BASE_URL: "it's $HOME" },
  secretFiles: { DATABASE_URL: `${SECRETS}/miniflux/DATABASE_URL` },
  dependsOn: ['redis', 'not-here'],
  database: { name: 'miniflux', role: 'miniflux', passwordFile: `${SECRETS}/miniflux/DATABASE_PASSWORD` },
  resources: { memory: '2G', cpus: 1.5 },
})

const containerOf = ({ containers }: System, name: string) =>
  containers[`bloud-${name}`] ?? assert.fail(`no container of ${name}`)
const unitOf = ({ services }: System, name: string) => services[name] ?? assert.fail(`no unit ${name}`)

test('An app in apps.json becomes a container', nix, async () => {
  const container = containerOf(await system([miniflux, app('redis')]), 'miniflux')
  assert.equal(container.serviceName, 'podman-miniflux')
  assert.equal(container.image, 'docker.io/miniflux/miniflux:2.2.14@sha256:0123456789abcdef')
  assert.deepEqual(container.ports, ['127.0.0.1:8085:8080'])
  assert.deepEqual(container.volumes, [
    '/var/lib/bloud/apps/miniflux/data:/data',
    '/var/lib/bloud/apps/miniflux/themes:/themes:ro',
  ])
  assert.deepEqual(container.environment, { RUN_MIGRATIONS: '1', BASE_URL: "it's $HOME" })
  for (const option of [
    '--secret=bloud-miniflux-DATABASE_URL,type=env,target=DATABASE_URL',
    '--memory=2G',
    '--cpus=1.5',
    '--add-host=host.containers.internal:10.89.77.1',
  ]) {
    assert.ok(container.extraOptions.includes(option), option)
  }
})

test('The installed dependencies of an app are started before the app', nix, async () => {
  const { after, wants } = unitOf(await system([miniflux, app('redis')]), 'podman-miniflux')
  assert.deepEqual(wants, ['podman-redis.service'])
  assert.ok(after.includes('podman-redis.service'))
  assert.ok(!after.some((unit) => unit.includes('not-here')))
})

test(
  'An app that needs a database gets one before its start, reachable only from the network of the apps',
  nix,
  async () => {
    const machine = await system([miniflux, app('redis')])
    const unit = unitOf(machine, 'bloud-database-miniflux')
    assert.match(String(unit.serviceConfig.ExecStart), /"bloud" "miniflux" ".*\/DATABASE_PASSWORD"/)
    assert.deepEqual(unit.serviceConfig.CapabilityBoundingSet, ['CAP_SETUID', 'CAP_SETGID'])
    assert.ok(unitOf(machine, 'podman-miniflux').requires.includes('bloud-database-miniflux.service'))
    assert.deepEqual(machine.sockets['bloud-postgres']?.listenStreams, ['10.89.77.1:5432'])
    assert.deepEqual(machine.firewall.interfaces, {
      bloud0: { allowedTCPPorts: [5432], allowedUDPPorts: [53] },
    })
    const without = await system([app('redis')])
    assert.deepEqual(Object.keys(without.sockets), [])
  },
)

test("The app postgres is this machine's own server", nix, async () => {
  const dependsOn = ['postgres']
  const machine = await system([app('postgres', { port: 5432 }), app('good', { dependsOn })])
  assert.deepEqual(Object.keys(machine.containers), ['bloud-good'])
  const elsewhere = await system(
    [app('postgres', { port: 5432 })],
    'services.bloud.database = { createLocally = false; urlFile = "/run/secrets/url"; };',
  )
  assert.deepEqual(Object.keys(elsewhere.containers), ['bloud-postgres'])
})

test(
  'A worker container shares everything with its app except the port and the network name',
  nix,
  async () => {
    const more = { command: ['server'], worker: ['worker'], secretFiles: { KEY: `${SECRETS}/sso/KEY` } }
    const machine = await system([app('sso', more)])
    assert.deepEqual(Object.keys(machine.containers), ['bloud-sso', 'bloud-sso_worker'])
    const { cmd, ports, extraOptions, serviceName, ...same } = containerOf(machine, 'sso_worker')
    const server = containerOf(machine, 'sso')
    assert.deepEqual([server.cmd, cmd, ports, serviceName], [['server'], ['worker'], [], 'podman-sso_worker'])
    assert.deepEqual(
      extraOptions,
      server.extraOptions.filter((option) => option !== '--network-alias=sso'),
    )
    assert.deepEqual([same.image, same.volumes], [server.image, server.volumes])
    assert.deepEqual(unitOf(machine, 'podman-sso_worker').requires, ['podman-sso.service'])
    assert.match(await errorOf(system([app('sso', { command: ['--privileged'] })])), /is not of type/)
  },
)

test('Installing one app changes nothing of another', nix, async () => {
  const one = await system([app('redis')])
  const two = await system([app('redis'), app('other', { port: 9000 })])
  assert.deepEqual(containerOf(two, 'redis'), containerOf(one, 'redis'))
  assert.deepEqual(unitOf(two, 'podman-redis'), unitOf(one, 'podman-redis'))
})

test(
  'The operator can override and disable an app, and keep the override after the uninstall',
  nix,
  async () => {
    const lines =
      'bloud.apps.redis = { port = 7000; environment.EXTRA = "1"; extraOptions = [ "--tty" ]; }; bloud.apps.other.enable = false;'
    const machine = await system([app('redis', { environment: { KEPT: 'yes' } }), app('other')], lines)
    const redis = containerOf(machine, 'redis')
    assert.deepEqual(redis.ports, ['127.0.0.1:7000:80'])
    assert.deepEqual(redis.environment, { KEPT: 'yes', EXTRA: '1' })
    assert.ok(redis.extraOptions.includes('--tty'))
    assert.deepEqual(Object.keys(machine.containers), ['bloud-redis'])
    assert.deepEqual((await system([], lines)).containers, {})
  },
)

test('The operator can declare an app that is not in apps.json', nix, async () => {
  const lines = 'bloud.apps.mine = { image = "localhost/mine:1"; port = 5000; containerPort = 80; };'
  assert.equal(containerOf(await system([], lines), 'mine').image, 'localhost/mine:1')
})

test(
  'The sign-in files of the agent are mounted from a directory in which only root can create a link',
  nix,
  async () => {
    const mounts = [
      { host: '/var/lib/bloud/nixos/blueprints', container: '/blueprints/bloud', readOnly: true },
      { host: '/var/lib/bloud/nixos/clients', container: '/var/lib/bloud/nixos/clients', readOnly: true },
    ]
    const container = containerOf(await system([app('authentik', { mounts })]), 'authentik')
    assert.deepEqual(container.volumes, [
      '/var/lib/bloud/blueprints:/blueprints/bloud:ro',
      '/var/lib/bloud/clients:/var/lib/bloud/nixos/clients:ro',
    ])
    assert.equal(container.user, '389:389')
  },
)

test(
  'apps.json can neither add arguments of podman, nor choose a user, nor disable an app',
  nix,
  async () => {
    const plain = await system([app('redis')])
    const more = { extraOptions: ['--privileged'], user: 'root', enable: false, podman: {}, cmd: ['x'] }
    assert.deepEqual(containerOf(await system([app('redis', more)]), 'redis'), containerOf(plain, 'redis'))
  },
)

test('A value that could be more than data is refused with the name of its app', nix, async () => {
  const volume = (name: string, container: string) => ({ volumes: [{ name, container }] })
  const refused: object[] = [
    { image: 'x; rm -rf /' },
    { image: '--privileged' },
    { image: 'x $(id)' },
    { image: 'x\n--privileged' },
    volume('../../etc', '/etc'),
    volume('data', '/data:suid'),
    volume('data', '/data,exec'),
    volume('data', 'data'),
    { mounts: [{ host: '/etc', container: '/etc' }] },
    { port: 70_000 },
    { port: '80 -v /:/host' },
    { secretFiles: { KEY: '/root/.ssh/id_ed25519' } },
    { secretFiles: { KEY: `${SECRETS}/a\n/b` } },
    { database: { name: 'x', role: 'x"; drop', passwordFile: `${SECRETS}/x/P` } },
    { environment: { A: 1 } },
    { resources: { memory: '2G --privileged' } },
    { resources: { cpus: '1 --privileged' } },
  ]
  for (const more of refused) {
    assert.match(await errorOf(system([app('victim', more)])), /victim/, JSON.stringify(more))
  }
  for (const name of ['Victim', 'a b', '../victim', 'victim.service', 'x'.repeat(64)]) {
    assert.match(await errorOf(system([app(name)])), /not an app name/, name)
  }
})

test(
  'A value that no pattern can check is refused by an assertion with the name of its app',
  nix,
  async () => {
    const database = { name: 'a', role: 'b', passwordFile: `${SECRETS}/x/P` }
    const refused: object[] = [
      { environment: { 'A B': 'x' } },
      { secretFiles: { 'A,type=mount': `${SECRETS}/x/P` } },
      { secretFiles: { KEY: `${SECRETS}/../../../../etc/shadow` } },
      { volumes: [{ name: 'data', container: '/data/../etc' }] },
      { database },
    ]
    for (const more of refused) {
      const { failed } = await system([app('victim', more)])
      assert.match(failed[0] ?? 'no failed assertion', /^bloud: victim: /, JSON.stringify(more))
    }
  },
)

test('An apps.json of another version is refused, and a missing one means no apps', nix, async () => {
  const missing = 'services.bloud.apps.file = lib.mkForce "/nowhere/apps.json";'
  assert.deepEqual((await system([], missing)).containers, {})
  assert.match(await errorOf(system([app('redis')], '', 2)), /another version of the agent/)
})
