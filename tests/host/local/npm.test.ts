import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { membersOf } from '../../../src/system/processgroup.ts'
import { publicDirectories } from '../../support/directory.ts'
import { answer, createTestHost, type TestHost, wanted } from '../../support/local-host.ts'
import { makePackage } from '../../support/packages.ts'
import { freePort } from '../../support/port.ts'
import { type PublishedPackage, startRegistry } from '../../support/registry.ts'

const publicDirectory = publicDirectories()

/** Script that writes `text` to a file, if npm runs the script. */
const writes = (file: string, text: string) =>
  `node -e ${JSON.stringify(`require('fs').appendFileSync(${JSON.stringify(file)}, ${JSON.stringify(`${text}\n`)})`)}`

const SERVER = `require('http').createServer((request, response) => {
  response.end(JSON.stringify({ argv: process.execArgv, env: process.env }))
}).listen(Number(process.env.PORT), '127.0.0.1')\n`

/** Adds keys to the package.json of a package of makePackage. */
async function extend({ packages }: TestHost, name: string, more: object): Promise<void> {
  const file = join(packages, name, 'package.json')
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...more }))
}

async function localApp(host: TestHost, name: string, manifest: object, npm: object = {}) {
  const app = wanted(name, await freePort(), await makePackage(host.packages, { name }))
  await extend(host, name, manifest)
  app.catalog.npm = { ...app.catalog.npm, ...npm } as never
  return app
}

test('a process that an install script leaves in the background does not delay the install', async (t) => {
  const host = await createTestHost(t)
  const hold = (more: string) =>
    `node -e "require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit'${more} }).unref()"`
  const scripts = { preinstall: hold(''), postinstall: hold(', detached: true, env: {}') }
  const app = await localApp(host, 'behind', { scripts }, { installScripts: ['bloud-test-behind'] })
  const { state, lines } = await host.switchTo([app])
  assert.deepEqual(state, { state: 'exited', exitCode: 0 }, lines.join('\n'))
  assert.equal(await answer(app), 'ok')
  assert.deepEqual(await host.processes('npm'), [], 'the rest of the process group of npm is ended')
  if (process.platform !== 'linux') return
  const behind = { marks: [], directory: host.paths.store }
  assert.deepEqual(await membersOf(behind), [], 'a process without the mark and the group is ended')
})

test('only the install scripts of listed packages run', async (t) => {
  const parent = publicDirectory()
  const ran = join(parent, 'ran')
  const scripts = (name: string) => ({
    preinstall: writes(ran, `${name} preinstall`),
    install: writes(ran, `${name} install`),
    postinstall: writes(ran, `${name} postinstall`),
    prepare: writes(ran, `${name} prepare`),
  })
  const registry = await startRegistry(t, [
    { name: 'listed-dependency', scripts: scripts('listed-dependency') },
    { name: '@other/dependency', scripts: scripts('other') },
  ])
  const host = await createTestHost(t, { environment: { npm_config_registry: registry }, parent })
  const dependencies = { 'listed-dependency': '1.0.0', '@other/dependency': '1.0.0' }
  const manifest = { scripts: scripts('app'), dependencies }
  const none = await localApp(host, 'none', manifest)
  assert.deepEqual((await host.switchTo([none])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await readFile(ran, 'utf8').catch(() => ''), '')
  const some = await localApp(host, 'some', manifest, { installScripts: ['listed-dependency', 'absent'] })
  assert.deepEqual((await host.switchTo([some])).state, { state: 'exited', exitCode: 0 })
  const lines = (await readFile(ran, 'utf8')).trim().split('\n')
  assert.deepEqual(
    lines,
    ['preinstall', 'install', 'postinstall'].map((script) => `listed-dependency ${script}`),
  )
})

test('listed install scripts run although the settings of npm turn install scripts off', async (t) => {
  const dir = publicDirectory()
  const [ran, npmrc] = [join(dir, 'ran'), join(dir, 'npmrc')]
  await writeFile(npmrc, 'ignore-scripts=true\n')
  const host = await createTestHost(t, { environment: { npm_config_userconfig: npmrc }, parent: dir })
  const scripts = { postinstall: writes(ran, 'app') }
  const app = await localApp(host, 'listed', { scripts }, { installScripts: ['bloud-test-listed'] })
  assert.deepEqual((await host.switchTo([app])).state, { state: 'exited', exitCode: 0 })
  assert.equal(await readFile(ran, 'utf8'), 'app\n')
})

test('an install script that fails makes the install fail', async (t) => {
  const host = await createTestHost(t)
  const scripts = { postinstall: 'node -e "console.log(\'no compiler here\'); process.exit(7)"' }
  const app = await localApp(host, 'fails', { scripts }, { installScripts: ['bloud-test-fails'] })
  const { state, id } = await host.switchTo([app])
  assert.deepEqual(state, { state: 'exited', exitCode: 1 })
  const failure = (await host.host.result({ id })).failures.fails
  assert.ok(failure?.log.includes('no compiler here'))
  assert.deepEqual(await readdir(host.paths.store), [])
})

const MISSING: [string, Partial<PublishedPackage>, RegExp][] = [
  ['unscoped', { dependencies: { 'no-such-part': '^1.0.0' } }, /^no-such-part@\^1\.0\.0, which /],
  ['scoped', { dependencies: { '@no-such/part': '2.x' } }, /^@no-such\/part@2\.x, which /],
  ['alias', { dependencies: { part: 'npm:no-such-alias@^2' } }, /^no-such-alias@\^2, which /],
  ['version', { dependencies: { present: '^9.0.0' } }, /^present@\^9\.0\.0, which /],
  ['tag', { dependencies: { '@here/present': 'nightly' } }, /^@here\/present@nightly, which /],
  ['deep', { dependencies: { middle: '1.0.0' } }, /^no-such-end@1\.2\.3, which /],
]

test('a dependency that the registry lacks is named', async (t) => {
  const registry = await startRegistry(t, [
    ...MISSING.map(([name, more]) => ({ name: `needs-${name}`, ...more })),
    { name: 'present' },
    { name: '@here/present' },
    { name: 'middle', dependencies: { 'no-such-end': '1.2.3' } },
  ])
  const host = await createTestHost(t, { environment: { npm_config_registry: registry } })
  const apps = MISSING.map(([name], index) => wanted(name, 20_000 + index, `needs-${name}`))
  const itself = wanted('itself', 20_100, '@no-such/app')
  const old = wanted('old', 20_101, 'present')
  old.catalog.npm = { ...old.catalog.npm, version: '7.0.0' } as never
  const { id } = await host.switchTo([...apps, itself, old])
  const { failures } = await host.host.result({ id })
  for (const [name, , pattern] of MISSING) {
    assert.match(failures[name]?.message ?? '', pattern)
    assert.match(
      failures[name]?.message ?? '',
      new RegExp(`needs-${name}@1\\.0\\.0 needs, is not in the npm registry`),
    )
  }
  assert.equal(failures.itself?.message, '@no-such/app@1.0.0 is not in the npm registry')
  assert.equal(failures.old?.message, 'present@7.0.0 is not in the npm registry')
})

const SHEBANGS: [string, string[]][] = [
  ['#!/usr/bin/env node', []],
  ['#!/usr/bin/env -S node --stack-size=900 --no-warnings', ['--stack-size=900', '--no-warnings']],
  ['#!/usr/bin/node --no-warnings', ['--no-warnings']],
  ['#! /usr/local/bin/nodejs --stack-size=900 --no-warnings', ['--stack-size=900', '--no-warnings']],
  ["#!/usr/bin/env --split-string=GREETING='good day' node --no-warnings", ['--no-warnings']],
  ['#!/usr/bin/env -i -S HOME= node --no-warnings', ['--no-warnings']],
]

test('the options of node in the first line of the program are kept', async (t) => {
  const host = await createTestHost(t)
  const apps = await Promise.all(
    SHEBANGS.map(async ([line], index) => {
      const app = await localApp(host, `line-${index}`, { type: 'commonjs' })
      await writeFile(join(host.packages, app.name, 'app.js'), `${line}\n${SERVER}`)
      return app
    }),
  )
  const shell = await localApp(host, 'shell', {})
  const start = '#!/bin/sh -e\n# node\nexec node --no-deprecation "$(dirname "$0")/main.cjs"\n'
  await writeFile(join(host.packages, 'shell', 'app.js'), start)
  await writeFile(join(host.packages, 'shell', 'main.cjs'), SERVER)
  const { state } = await host.switchTo([...apps, shell])
  assert.deepEqual(state, { state: 'exited', exitCode: 0 })
  for (const [index, app] of apps.entries()) {
    const { argv, env } = JSON.parse(await answer(app, '/'))
    assert.deepEqual(argv, SHEBANGS[index]?.[1], SHEBANGS[index]?.[0])
    assert.equal(env.PORT, String(app.port))
    if (index === 4) assert.equal(env.GREETING, 'good day')
  }
  assert.deepEqual(JSON.parse(await answer(shell, '/')).argv, ['--no-deprecation'])
})
