import assert from 'node:assert/strict'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { APP_USER } from '../../../src/host/local/appuser.ts'
import { findUser } from '../../../src/system/systemuser.ts'
import { withTimeout } from '../../../src/system/timeout.ts'
import { publicDirectories } from '../../support/directory.ts'
import { answer, createTestHost, wanted } from '../../support/local-host.ts'
import { startWholeAgent } from '../../support/npmstart.ts'
import { makePackage } from '../../support/packages.ts'
import { freePort } from '../../support/port.ts'

const publicDirectory = publicDirectories()
const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot && process.platform === 'linux' ? false : 'only for root on Linux' }

/** Responds with what the app is and which of the files in $PROBE it can read. */
const PROGRAM = `#!/usr/bin/env node
const fs = require('fs')
const attempt = (work) => { try { work(); return true } catch (error) { return error.code } }
const groups = fs.readFileSync('/proc/self/status', 'utf8').match(/^Groups:(.*)$/m)[1].trim()
require('http').createServer((request, response) => {
  const read = process.env.PROBE.split(' ').map((file) => attempt(() => fs.readFileSync(file)))
  const list = process.env.PROBE.split(' ').map((file) => attempt(() => fs.readdirSync(file + '/..')))
  const write = attempt(() => fs.writeFileSync('kept.txt', 'again'))
  const ids = [process.getuid(), process.geteuid(), process.getgid(), process.getegid()]
  response.end(JSON.stringify({ ids, groups, cwd: process.cwd(), read, list, write }))
}).listen(Number(process.env.PORT), '127.0.0.1')
`

/** Script that writes the user of npm into the package's own folder. */
const NOTE = `node -e "require('fs').writeFileSync('uid', String(process.getuid()))"`

async function probingApp(name: string, packages: string, probe: string[]) {
  const app = wanted(name, await freePort(), await makePackage(packages, { name }))
  const npm = { environment: { PROBE: probe.join(' ') }, installScripts: [`bloud-test-${name}`] }
  app.catalog.npm = { ...app.catalog.npm, ...npm } as never
  const manifest = {
    name: `bloud-test-${name}`,
    version: '1.0.0',
    bin: { app: 'app.js' },
    scripts: { postinstall: NOTE },
  }
  await writeFile(join(packages, name, 'package.json'), JSON.stringify(manifest))
  await writeFile(join(packages, name, 'app.js'), PROGRAM)
  return app
}

for (const kind of ['private', 'public'] as const) {
  test(`as root, npm and apps run as their own user below a ${kind} folder`, onlyRoot, async (t) => {
    const parent = kind === 'private' ? await mkdtemp(join(tmpdir(), 'private-')) : publicDirectory()
    const notes: string[] = []
    const host = await createTestHost(t, { parent, log: (line) => notes.push(line) })
    const user = await findUser(APP_USER)
    assert.ok(user)
    assert.deepEqual(notes, [
      `the agent runs as root: npm and the apps run as the user ${APP_USER} (uid ${user.uid})`,
    ])
    await writeFile(join(parent, 'secret'), 'secret', { mode: kind === 'private' ? 0o644 : 0o600 })
    const packages = join(parent, 'packages')
    const probe = [join(parent, 'secret'), join(host.paths.config, 'apps.json'), host.paths.mark]
    const app = await probingApp('probe', packages, probe)
    const hidden = join(parent, 'hidden')
    const other = await probingApp('other', hidden, probe)
    await chmod(join(hidden, 'other'), 0o700)
    const { state, lines } = await host.switchTo([app, other])
    assert.deepEqual(state, { state: 'exited', exitCode: 0 }, lines.join('\n'))
    for (const each of [app, other]) {
      const found = JSON.parse(await answer(each, '/'))
      assert.deepEqual(found.ids, [user.uid, user.uid, user.gid, user.gid])
      assert.equal(found.groups, '')
      assert.equal(found.cwd, join(host.dataDir, 'apps', each.name))
      assert.equal(found.write, true)
      for (const result of found.read) assert.notEqual(result, true, 'the app reads a file of the agent')
      assert.equal((await stat(join(host.dataDir, 'apps', each.name))).mode & 0o777, 0o700)
    }
    const store = await readdir(host.paths.store)
    const entry = store.find((name) => name.startsWith('probe-')) ?? ''
    const note = join(host.paths.store, entry, 'node_modules/bloud-test-probe/uid')
    assert.equal(await readFile(note, 'utf8'), String(user.uid), 'the install script runs as the user')
  })
}

test('data of apps that ran as root is handed over', onlyRoot, async (t) => {
  const parent = publicDirectory()
  const first = await createTestHost(t, { parent })
  const home = join(first.dataDir, 'apps', 'probe')
  await mkdir(join(home, 'deep'), { recursive: true })
  await mkdir(join(first.paths.npmCache, 'tmp'), { recursive: true })
  for (const file of ['kept.txt', 'deep/kept.txt']) await writeFile(join(home, file), 'old', { mode: 0o600 })
  for (const dir of [home, first.paths.npmCache, first.paths.npmHome]) await chown(dir, 0, 0)
  const user = await findUser(APP_USER)
  const handedOver = async (paths: string[]) => {
    const again = first.another()
    t.after(() => again.stop())
    await again.start()
    for (const path of paths) assert.equal((await stat(join(home, path))).uid, user?.uid, path)
  }
  await handedOver(['', 'kept.txt', 'deep', 'deep/kept.txt'])
  await writeFile(join(home, 'deep', 'later.txt'), 'of an app that still ran as root', { mode: 0o600 })
  await handedOver(['deep/later.txt'])
  const app = await probingApp('probe', join(parent, 'packages'), ['/nowhere'])
  assert.deepEqual((await first.switchTo([app])).state, { state: 'exited', exitCode: 0 })
  assert.equal(JSON.parse(await answer(app, '/')).write, true)
})

test("a link in an app's data leads no file of the catalog out of the data", onlyRoot, async (t) => {
  const parent = publicDirectory()
  const host = await createTestHost(t, { parent })
  const [home, target] = [join(host.dataDir, 'apps', 'probe'), join(parent, 'target')]
  await mkdir(home)
  await mkdir(target)
  await symlink(target, join(home, 'settings'))
  const app = await probingApp('probe', join(parent, 'packages'), ['/nowhere'])
  app.catalog.npm = { ...app.catalog.npm, files: { 'settings/app.js': 'text' } } as never
  await host.switchTo([app])
  assert.deepEqual(await readdir(target), [])
  await host.switchTo([])
  await rm(join(home, 'settings'))
  await host.switchTo([app])
  await answer(app, '/')
  const user = await findUser(APP_USER)
  for (const path of ['settings', 'settings/app.js'])
    assert.equal((await stat(join(home, path))).uid, user?.uid)
})

/** Creates a folder for PATH that contains these programs only. */
async function pathWith(parent: string, programs: Record<string, string>): Promise<string> {
  const folder = join(parent, 'bin')
  await mkdir(folder)
  for (const [name, text] of Object.entries(programs))
    await writeFile(join(folder, name), text, { mode: 0o755 })
  return folder
}

/** Upper limit in ms of the time in which an agent that can't start ends. */
const END_LIMIT_MS = 90_000
const ID = '#!/bin/sh\nexec /usr/bin/id "$@"\n'

test('as root, the agent does not start without a user for the apps', onlyRoot, async (t) => {
  const parent = publicDirectory()
  const missing = `#!/bin/sh\n[ "$2" = ${APP_USER} ] && exit 1\nexec /usr/bin/id "$@"\n`
  const PATH = await pathWith(parent, { id: missing })
  const agent = startWholeAgent(join(parent, 'data'), await freePort(), { PATH })
  t.after(() => agent.end('SIGTERM'))
  assert.equal(await withTimeout(agent.ended, END_LIMIT_MS), 1, agent.output())
  assert.match(agent.output(), /has no user "bloud-apps", and creating it failed\. Create it \(useradd/)
})

test('as root, the agent does not start if the apps cannot reach their data', onlyRoot, async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'private-'))
  const PATH = await pathWith(parent, { id: ID })
  const agent = startWholeAgent(join(parent, 'data'), await freePort(), { PATH })
  t.after(() => agent.end('SIGTERM'))
  assert.equal(await withTimeout(agent.ended, END_LIMIT_MS), 1, agent.output())
  assert.match(agent.output(), /This user can't reach .*\/data\. Set BLOUD_DATA_DIR to a folder below/)
})
