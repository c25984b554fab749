import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { run } from '../../src/system/childprocess.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startRegistry } from '../support/registry.ts'

const clone = temporaryDirectory()
const LIMIT_MS = 90_000
const VERSION = '22.23.3'

/** Stands for the package `node`, which downloads Node with a script of its own. */
const FETCH_NODE = `const fs = require('fs')
fs.mkdirSync('bin', { recursive: true })
fs.writeFileSync('bin/node', '#!/bin/sh\\necho v${VERSION}\\n', { mode: 0o755 })
fs.appendFileSync('../../ran', 'node, ignore-scripts=' + process.env.npm_config_ignore_scripts + '\\n')
`

test('the set-up runs no install script but the download of Node', async (t) => {
  const note = (name: string) => `echo ${name} >> "$INIT_CWD/ran"`
  const registry = await startRegistry(t, [
    {
      name: 'node',
      version: VERSION,
      scripts: { preinstall: note('node preinstall') },
      files: { 'installArchSpecificPackage.js': FETCH_NODE },
    },
    { name: 'curious', scripts: { preinstall: note('preinstall'), postinstall: note('postinstall') } },
  ])
  const manifest = { name: 'clone', dependencies: { curious: '1.0.0' }, devDependencies: { node: VERSION } }
  await writeFile(join(clone, 'package.json'), JSON.stringify(manifest))
  await cp(join(ROOT, 'scripts/setup.js'), join(clone, 'scripts/setup.js'))
  const env = {
    PATH: process.env.PATH,
    HOME: clone,
    INIT_CWD: clone,
    npm_config_registry: registry,
    npm_config_cache: join(clone, 'cache'),
  }
  const options = { cwd: clone, env, limitMs: LIMIT_MS }
  const lock = await run('npm', ['install', '--package-lock-only', '--ignore-scripts'], options)
  assert.equal(lock.code, 0, lock.output)
  const setup = await run(process.execPath, [join(clone, 'scripts/setup.js')], options)
  assert.equal(setup.code, 0, setup.output)
  assert.equal(await readFile(join(clone, 'ran'), 'utf8'), 'node, ignore-scripts=true\n')
})
