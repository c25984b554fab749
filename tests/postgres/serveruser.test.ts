import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { copiedBinaries, installedBinaries, program } from '../../src/postgres/binaries.ts'
import { startAgent } from '../support/agent.ts'
import { temporaryDirectory } from '../support/directory.ts'

const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot ? false : 'only root can become another user' }
/** The user that owns nothing, on every Linux. */
const NOBODY = 65_534
const AGENT = 'tests/postgres/fixtures/postgres-agent.ts'

/** A clone that everybody may enter: hard links, so that it costs no space and ours may be private. */
async function publicClone(): Promise<string> {
  const clone = temporaryDirectory()
  await fs.chmod(clone, 0o755)
  for (const name of ['src', 'tests', 'package.json'])
    await fs.cp(join(ROOT, name), join(clone, name), { recursive: true })
  try {
    execFileSync('cp', ['-al', join(ROOT, 'node_modules'), clone], { stdio: 'pipe' })
  } catch {
    await fs.rm(join(clone, 'node_modules'), { recursive: true, force: true })
    execFileSync('cp', ['-a', join(ROOT, 'node_modules'), clone])
  }
  execFileSync('chmod', ['-R', 'a+rX', join(clone, 'src'), join(clone, 'tests')])
  return clone
}

test('an ordinary user gets a server that runs as that user', onlyRoot, async () => {
  const clone = await publicClone()
  const data = join(clone, 'data')
  await fs.mkdir(data, { mode: 0o700 })
  await fs.chown(data, NOBODY, NOBODY)
  const node = join(clone, 'node_modules/node/bin/node')
  const agent = startAgent(node, [join(clone, AGENT), data], { cwd: clone, uid: NOBODY, gid: NOBODY })
  await agent.says(/superuserUrl/)
  assert.equal((await fs.stat(join(data, 'postgres'))).uid, NOBODY)
  assert.equal((await fs.stat(join(data, 'database.json'))).uid, NOBODY)
  assert.equal(await agent.end('SIGTERM'), 0)
})

test('root keeps a database that was made by an ordinary user running as that user', onlyRoot, async () => {
  const data = join(temporaryDirectory(), 'data')
  const first = startAgent(process.execPath, [join(ROOT, AGENT), data])
  await first.says(/superuserUrl/)
  await first.end('SIGTERM')
  execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, data])
  const second = startAgent(process.execPath, [join(ROOT, AGENT), data])
  await second.says(/superuserUrl/)
  assert.equal((await fs.stat(join(data, 'postgres/postmaster.pid'))).uid, NOBODY)
  assert.equal(await second.end('SIGTERM'), 0)
})

test('root can start a database that was copied by root, with every file its own', onlyRoot, async () => {
  const data = join(temporaryDirectory(), 'data')
  const first = startAgent(process.execPath, [join(ROOT, AGENT), data])
  await first.says(/superuserUrl/)
  await first.end('SIGTERM')
  execFileSync('chown', ['-R', '0:0', data])
  const second = startAgent(process.execPath, [join(ROOT, AGENT), data])
  await second.says(/superuserUrl/)
  assert.notEqual((await fs.stat(join(data, 'postgres/postmaster.pid'))).uid, 0)
  assert.equal(await second.end('SIGTERM'), 0)
})

test("root's copy of the programs is made whole again when files of it are gone", onlyRoot, async () => {
  const top = temporaryDirectory()
  await fs.chmod(top, 0o755)
  const copies = join(top, 'copies')
  const installed = await installedBinaries()
  const copy = await copiedBinaries(installed, copies)
  const { ino } = await fs.stat(copy.directory)
  assert.equal((await fs.stat((await copiedBinaries(installed, copies)).directory)).ino, ino, 'used as it is')

  await fs.rm(join(copy.directory, 'share'), { recursive: true })
  await copiedBinaries(installed, copies)
  const output = execFileSync(program(copy, 'postgres'), ['--version'], {
    uid: NOBODY,
    gid: NOBODY,
    cwd: '/',
    stdio: 'pipe',
  })
  assert.match(String(output), /PostgreSQL\) 18/)
  assert.deepEqual(await fs.readdir(copies), [copy.directory.slice(copies.length + 1)])
})
