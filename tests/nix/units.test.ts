import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/directory.ts'
import { needs } from '../support/tools.ts'
import { app, system } from './support.ts'

const nix = needs('nix')
const REMOTE = 'services.bloud.database.createLocally = false; services.bloud.database.urlFile'

test('The enabled module has two processes of unprivileged users, and no app', nix, async () => {
  const { services, containers, failed } = await system([])
  assert.deepEqual(failed, [])
  assert.deepEqual(containers, {})
  for (const [name, user] of [
    ['bloud-relay', 'bloud-relay'],
    ['bloud-orchestrator', 'bloud'],
  ] as const) {
    const { serviceConfig, restartIfChanged, wantedBy } = services[name] ?? assert.fail(name)
    assert.equal(serviceConfig.User, user)
    assert.equal(serviceConfig.Type, 'notify')
    assert.equal(serviceConfig.NotifyAccess, 'all')
    assert.equal(serviceConfig.WatchdogSec, 60)
    assert.equal(serviceConfig.ProtectSystem, 'strict')
    assert.equal(serviceConfig.NoNewPrivileges, true)
    assert.equal(serviceConfig.CapabilityBoundingSet, '')
    assert.ok(!('MemoryDenyWriteExecute' in serviceConfig), 'V8 could not run with it')
    assert.equal(restartIfChanged, false)
    assert.deepEqual(wantedBy, ['multi-user.target'])
  }
})

test('With the local PostgreSQL the app postgres has no container', nix, async () => {
  const { services, containers } = await system([app('postgres', { port: 5432 })])
  assert.deepEqual(Object.keys(containers), [])
  const provided = (all: typeof services) => all['bloud-orchestrator']?.environment.BLOUD_NIXOS_PROVIDED
  assert.equal(provided(services), 'postgres=postgresql.service')
  const elsewhere = await system([app('postgres', { port: 5432 })], `${REMOTE} = "/run/url";`)
  assert.deepEqual(Object.keys(elsewhere.containers), ['bloud-postgres'])
  assert.equal(provided(elsewhere.services), undefined)
})

test('Only the units that need root run as root', nix, async () => {
  const database = { name: 'good', role: 'good', passwordFile: '/var/lib/bloud/nixos/secrets/good/P' }
  const { services } = await system([app('good', { database })])
  const asRoot = Object.entries(services)
    .filter(([, { serviceConfig }]) => !serviceConfig.User && !serviceConfig.DynamicUser)
    .map(([name]) => name)
  assert.deepEqual(asRoot.sort(), [
    'bloud-database-good',
    'bloud-network',
    'bloud-purge',
    'bloud-rebuild',
    'bloud-refresh',
    'bloud-rollback',
    'podman-good',
  ])
})

test('A request file starts the configured rebuild command without further arguments', nix, async () => {
  const command = '[ "/opt/my rebuild" "switch" "--flake" "/etc/nixos#$HOME %h" ]'
  const { services, paths } = await system([], `services.bloud.rebuildCommand = ${command};`)
  assert.equal(paths['bloud-rebuild']?.pathConfig.PathExists, '/var/lib/bloud/nixos/request/current')
  const rebuild = services['bloud-rebuild'] ?? assert.fail()
  const words = String(rebuild.serviceConfig.ExecStart)
  assert.ok(words.endsWith('"--" "/opt/my rebuild" "switch" "--flake" "/etc/nixos#$$HOME %%h"'), words)
  assert.equal(rebuild.restartIfChanged, false)
  assert.equal(rebuild.wantedBy.length, 0)
})

test(
  'A rollback has a request file, a unit and a command of its own, which the agent cannot change',
  nix,
  async () => {
    const command = '[ "/opt/my rebuild" "switch" "--rollback" ]'
    const { services, paths } = await system([], `services.bloud.rollbackCommand = ${command};`)
    assert.equal(paths['bloud-rollback']?.pathConfig.PathExists, '/var/lib/bloud/nixos/request/rollback')
    const rollback = services['bloud-rollback'] ?? assert.fail()
    const words = String(rollback.serviceConfig.ExecStart)
    assert.ok(words.endsWith('"--rollback" "--" "/opt/my rebuild" "switch" "--rollback"'), words)
    assert.equal(rollback.restartIfChanged, false)
    const { services: plain } = await system([])
    assert.match(
      String(plain['bloud-rollback']?.serviceConfig.ExecStart),
      /nixos-rebuild" "switch" "--rollback"$/,
    )
  },
)

test('A flake is rebuilt with --impure, because apps.json is not part of it', nix, async () => {
  const { services } = await system([], 'services.bloud.flake = "/etc/nixos#home";')
  const words = String(services['bloud-rebuild']?.serviceConfig.ExecStart)
  assert.ok(words.endsWith('"switch" "--flake" "/etc/nixos#home" "--impure"'), words)
})

test('The firewall stays closed unless the operator opens the port', nix, async () => {
  assert.deepEqual((await system([])).firewall, { allowedTCPPorts: [], interfaces: {} })
  const open = await system([], 'services.bloud.openFirewall = true; services.bloud.port = 3210;')
  assert.deepEqual(open.firewall.allowedTCPPorts, [3210])
})

test('With the local PostgreSQL there is no password, and each process is one role', nix, async () => {
  const { services, postgresql } = await system([], 'services.bloud.database.operators = [ "alice" ];')
  assert.deepEqual(postgresql.ensureDatabases, ['bloud_host_agent'])
  assert.equal(
    services['bloud-relay']?.environment.DATABASE_URL,
    'postgresql://bloud_relay@%%2Frun%%2Fpostgresql/bloud_host_agent',
  )
  assert.equal(services['bloud-migrate']?.serviceConfig.User, 'postgres')
  assert.deepEqual(postgresql.identMap.split('\n').slice(1, -1), [
    'bloud bloud-relay bloud_relay',
    'bloud bloud bloud_orchestrator',
    'bloud root bloud_psql',
    'bloud alice bloud_psql',
  ])
  const lines = postgresql.authentication.split('\n')
  assert.ok(
    lines.findIndex((line) => line.endsWith('peer map=bloud')) < lines.indexOf('local all all peer'),
    'the first matching line decides',
  )
})

test('With another PostgreSQL the password stays in its file', nix, async () => {
  const urlFile = join(temporaryDirectory(), 'url')
  writeFileSync(urlFile, 'postgres://me:sentinel-4b1c@db/bloud')
  const { services, postgresql, failed } = await system([], `${REMOTE} = "${urlFile}";`)
  assert.deepEqual(failed, [])
  assert.equal(postgresql.enable, false)
  const { environment, serviceConfig } = services['bloud-relay'] ?? assert.fail()
  assert.equal(environment.DATABASE_URL_FILE, '%d/database-url')
  assert.equal(environment.BLOUD_DATABASE_ROLE, 'bloud_relay')
  assert.deepEqual(serviceConfig.LoadCredential, [`database-url:${urlFile}`])
  assert.ok(!('BLOUD_DATABASE_ROLE' in (services['bloud-migrate']?.environment ?? {})))
  assert.ok(!JSON.stringify(services).includes('sentinel-4b1c'))
})

test('A setting that contradicts an option or contains a password is refused with a hint', nix, async () => {
  const refused: [string, RegExp][] = [
    ['services.bloud.settings.DATABASE_URL = "postgres://me:x@db/bloud";', /urlFile/],
    [`${REMOTE} = builtins.storeDir + "/x";`, /outside/],
    ['services.bloud.database.createLocally = false;', /createLocally/],
    ['services.bloud.database.urlFile = "/run/url";', /createLocally/],
    ['services.bloud.rebuildCommand = [ "nixos-rebuild" ];', /absolute path/],
    ['services.bloud.database.operators = [ "a\\nbloud root postgres" ];', /user name/],
  ]
  for (const [configuration, reason] of refused) {
    const { failed } = await system([], configuration)
    assert.equal(failed.length, 1, configuration)
    assert.match(failed[0] ?? '', reason)
  }
})

test('Additional settings become environment variables that systemd does not expand', nix, async () => {
  const { services } = await system(
    [],
    'services.bloud.settings = { BLOUD_BASE_URLS = [ "https://{app}.home" "http://x/%h" ]; BLOUD_BUILD_TIMEOUT = 60; };',
  )
  const { environment } = services['bloud-orchestrator'] ?? assert.fail()
  assert.equal(environment.BLOUD_BASE_URLS, 'https://{app}.home,http://x/%%h')
  assert.equal(environment.BLOUD_BUILD_TIMEOUT, '60')
  assert.equal(environment.BLOUD_HOST_KIND, 'nixos')
})
