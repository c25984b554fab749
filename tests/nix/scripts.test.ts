/**
 * Tests of the shell scripts in nix/scripts, which run as root on NixOS. Programs that would change the
 * machine are replaced by fakes.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { administer, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { needs } from '../support/tools.ts'

const LIMIT_MS = 30_000
const onlyLinux = { skip: process.platform === 'linux' ? false : 'for NixOS' }

function programs(scripts: Record<string, string>): string {
  const dir = temporaryDirectory()
  for (const [name, body] of Object.entries(scripts)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(dir, name), 0o755)
  }
  return [dir, process.env.PATH].join(delimiter)
}

/** Fake of setpriv, which runs a command as another user. The fake runs the command as the current user. */
const SETPRIV = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'

function runScript(name: string, args: string[], env: Record<string, string>) {
  const options = { env: { ...process.env, ...env }, timeout: LIMIT_MS }
  return promisify(execFile)('/bin/sh', [join(ROOT, 'nix/scripts', name), ...args], options)
}

function purgeable() {
  const top = temporaryDirectory()
  const [requests, apps, outside] = ['requests', 'apps', 'outside'].map((name) => join(top, name)) as [
    string,
    string,
    string,
  ]
  for (const dir of [requests, apps, outside, join(apps, 'good'), join(apps, 'busy')]) mkdirSync(dir)
  writeFileSync(join(apps, 'good', 'data'), 'x')
  writeFileSync(join(outside, 'precious'), 'x')
  symlinkSync(outside, join(apps, 'good', 'link'))
  const request = (name: string) => writeFileSync(join(requests, name), '')
  const systemctl = 'case $* in *podman-busy.service) exit 0 ;; *) exit 3 ;; esac'
  const run = () =>
    runScript('purge.sh', ['me', requests, apps], { PATH: programs({ systemctl, setpriv: SETPRIV }) })
  return { requests, apps, outside, request, run }
}

test('A purge deletes the data of its app, and follows no link out of it', onlyLinux, async () => {
  const { apps, requests, outside, request, run } = purgeable()
  request('good')
  await run()
  assert.ok(!existsSync(join(apps, 'good')) && existsSync(join(apps, 'busy')))
  assert.ok(existsSync(join(outside, 'precious')))
  assert.ok(!existsSync(join(requests, 'good')), 'the request file is removed')
})

test(
  'A purge of a running app or of an invalid name is refused, and its request is removed',
  onlyLinux,
  async () => {
    const { apps, requests, request, run } = purgeable()
    const names = ['busy', '..evil', '-rf', 'Good', 'a b', 'x\ngood2', '*']
    for (const name of names) request(name)
    mkdirSync(join(apps, 'good2'))
    const { stderr } = await run()
    assert.match(stderr, /busy is running/)
    assert.match(stderr, /not an app name/)
    assert.ok(existsSync(join(apps, 'busy')) && existsSync(join(apps, 'good')))
    for (const name of names) assert.ok(!existsSync(join(requests, name)), name)
  },
)

test('A container starts with its volumes, and its secrets appear in no argument', onlyLinux, async () => {
  const top = temporaryDirectory()
  const [apps, secret, calls] = [join(top, 'apps'), join(top, 'secret'), join(top, 'calls')]
  writeFileSync(secret, 'sentinel-91c2\nwith a second line')
  const podman = `printf '%s ' "$@" >> ${calls}; cat > ${calls}.stdin`
  const env = { PATH: programs({ podman, setpriv: SETPRIV }) }
  const args = ['me', apps, 'good', 'volume', 'data', 'secret', 'KEY', secret]
  await runScript('app-start.sh', args, env)
  assert.equal(statSync(join(apps, 'good')).mode & 0o777, 0o700)
  assert.equal(statSync(join(apps, 'good', 'data')).mode & 0o777, 0o777)
  assert.equal(readFileSync(calls, 'utf8'), 'secret create --replace bloud-good-KEY - ')
  assert.equal(readFileSync(`${calls}.stdin`, 'utf8'), 'sentinel-91c2\nwith a second line')
  chmodSync(join(apps, 'good', 'data'), 0o700)
  await runScript('app-start.sh', args, env)
  assert.equal(
    statSync(join(apps, 'good', 'data')).mode & 0o777,
    0o700,
    'a mode that the app has changed is kept',
  )
})

test('A missing or empty secret prevents the start of the container', onlyLinux, async () => {
  const top = temporaryDirectory()
  writeFileSync(join(top, 'empty'), '')
  const env = { PATH: programs({ podman: 'cat > /dev/null', setpriv: SETPRIV }) }
  for (const file of [join(top, 'empty'), join(top, 'missing')]) {
    await assert.rejects(runScript('app-start.sh', ['me', top, 'good', 'secret', 'KEY', file], env))
  }
})

test('The agent is restarted after a rebuild, never during it', onlyLinux, async () => {
  const top = temporaryDirectory()
  const calls = join(top, 'calls')
  writeFileSync(calls, '')
  const refresh = (why: string, state: string) => {
    const systemctl = `case $1 in show) echo ${state} ;; *) echo "$@" >> ${calls} ;; esac`
    return runScript('refresh.sh', [why], { PATH: programs({ systemctl }), RUNTIME_DIRECTORY: top })
  }
  const restart = 'try-restart --no-block bloud-relay.service bloud-orchestrator.service\n'
  await refresh('finished', 'inactive')
  await refresh('changed', 'activating')
  assert.equal(readFileSync(calls, 'utf8'), '', 'no restart during a rebuild by the agent')
  await refresh('finished', 'deactivating')
  assert.equal(readFileSync(calls, 'utf8'), restart)
  await refresh('finished', 'deactivating')
  await refresh('changed', 'inactive')
  assert.equal(readFileSync(calls, 'utf8'), restart + restart, 'a restart after a rebuild by hand')
})

const psqlOnLinux = { skip: onlyLinux.skip || needs('psql').skip }

function databaseScript(role: string, password: string) {
  const { hostname, port, username, password: login } = new URL(urlOf('postgres'))
  const file = join(temporaryDirectory(), 'password')
  writeFileSync(file, password)
  const env = { PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: decodeURIComponent(login) }
  const args = ['me', role, file, join(ROOT, 'nix/scripts/app-database.sql')]
  return runScript('app-database.sh', args, { ...env, PATH: programs({ setpriv: SETPRIV }) })
}

async function asApp(database: string, role: string, password: string): Promise<string> {
  const url = new URL(urlOf(database))
  url.username = role
  url.password = encodeURIComponent(password)
  const client = new pg.Client({ connectionString: url.href })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('create table if not exists kept ()')
    return (await client.query('select current_user as who')).rows[0].who
  } finally {
    await client.end().catch(() => {})
  }
}

test(
  'An app gets a role and a database of its own, and every run sets the password of the file',
  psqlOnLinux,
  async () => {
    const name = 'app_of_a_test'
    try {
      await databaseScript(name, 'it\'s \\ "first"')
      assert.equal(await asApp(name, name, 'it\'s \\ "first"'), name)
      await databaseScript(name, 'second')
      assert.equal(await asApp(name, name, 'second'), name)
      await assert.rejects(asApp(name, name, 'it\'s \\ "first"'), /password/)
      await administer(async (client) => {
        const { rows } = await client.query(
          "select r.rolsuper, r.rolcreaterole, r.rolcreatedb, has_database_privilege('public', $1, 'connect') as public_access from pg_roles r where rolname = $1",
          [name],
        )
        assert.deepEqual(rows, [
          { rolsuper: false, rolcreaterole: false, rolcreatedb: false, public_access: false },
        ])
      })
    } finally {
      await administer(async (client) => {
        await client.query(`drop database if exists ${name} with (force)`)
        await client.query(`drop role if exists ${name}`)
      })
    }
  },
)

test('A role that does not belong to an app keeps its password', psqlOnLinux, async () => {
  const name = 'foreign_role_of_a_test'
  await administer((client) => client.query(`create role ${name} superuser login password 'mine'`))
  try {
    await assert.rejects(databaseScript(name, 'stolen'), /that is not an app's/)
    assert.equal(await asApp('postgres', name, 'mine'), name)
  } finally {
    await administer(async (client) => {
      await client.query('drop table if exists kept')
      await client.query(`drop role ${name}`)
    })
  }
})

test(
  'An invalid rebuild request is removed, because systemd would start the unit for ever',
  onlyLinux,
  async () => {
    const state = temporaryDirectory()
    mkdirSync(join(state, 'request'))
    writeFileSync(join(state, 'request', 'current'), '../../etc\n')
    const links = ['--profile', join(state, 'profile'), '--current', join(state, 'current')]
    const program = join(ROOT, 'src/host/nixos/rebuild.ts')
    const started = join(state, 'started')
    const command = ['--', '/bin/sh', '-c', `touch ${started}`]
    await assert.rejects(
      promisify(execFile)(process.execPath, [program, '--state', state, ...links, ...command], {
        timeout: LIMIT_MS,
      }),
      /no run id/,
    )
    assert.ok(!existsSync(join(state, 'request', 'current')) && !existsSync(started))
  },
)
