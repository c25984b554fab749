import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { copiedBinaries, installedBinaries } from '../../src/postgres/binaries.ts'
import { program } from '../../src/postgres/program.ts'
import { startProcess } from '../support/agent.ts'
import { temporaryDirectory } from '../support/directory.ts'

const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot ? false : 'only root can become another user' }
const UNPRIVILEGED_UID = 65_534
const AGENT = 'tests/postgres/fixtures/postgres-agent.ts'

/**
 * Copies the program to a directory that every user may read, because the repository may be readable only by
 * its owner.
 */
async function publicClone(): Promise<string> {
  const clone = temporaryDirectory()
  await fs.chmod(clone, 0o755)
  for (const name of ['src', 'tests', 'package.json'])
    await fs.cp(join(ROOT, name), join(clone, name), { recursive: true })
  // Copied, not linked: the files are readable only by their owner if the umask was 077 during the install.
  execFileSync('cp', ['-a', join(ROOT, 'node_modules'), clone])
  execFileSync('chmod', ['-R', 'a+rX', clone])
  return clone
}

test('an ordinary user gets a server that runs as that user', onlyRoot, async () => {
  const clone = await publicClone()
  const data = join(clone, 'data')
  await fs.mkdir(data, { mode: 0o700 })
  await fs.chown(data, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
  const node = join(clone, 'node_modules/node/bin/node')
  const agent = startProcess(node, [join(clone, AGENT), data], {
    cwd: clone,
    uid: UNPRIVILEGED_UID,
    gid: UNPRIVILEGED_UID,
  })
  await agent.waitFor(/superuserUrl/)
  assert.equal((await fs.stat(join(data, 'postgres'))).uid, UNPRIVILEGED_UID)
  assert.equal((await fs.stat(join(data, 'database.json'))).uid, UNPRIVILEGED_UID)
  assert.equal(await agent.end('SIGTERM'), 0)
})

test('an agent that runs as root starts the server of an ordinary user as that user', onlyRoot, async () => {
  const data = join(temporaryDirectory(), 'data')
  const first = startProcess(process.execPath, [join(ROOT, AGENT), data])
  await first.waitFor(/superuserUrl/)
  await first.end('SIGTERM')
  execFileSync('chown', ['-R', `${UNPRIVILEGED_UID}:${UNPRIVILEGED_UID}`, data])
  const second = startProcess(process.execPath, [join(ROOT, AGENT), data])
  await second.waitFor(/superuserUrl/)
  assert.equal((await fs.stat(join(data, 'postgres/postmaster.pid'))).uid, UNPRIVILEGED_UID)
  assert.equal(await second.end('SIGTERM'), 0)
})

test('a copied cluster whose files all belong to root can be started by root', onlyRoot, async () => {
  const data = join(temporaryDirectory(), 'data')
  const first = startProcess(process.execPath, [join(ROOT, AGENT), data])
  await first.waitFor(/superuserUrl/)
  await first.end('SIGTERM')
  execFileSync('chown', ['-R', '0:0', data])
  const second = startProcess(process.execPath, [join(ROOT, AGENT), data])
  await second.waitFor(/superuserUrl/)
  assert.notEqual((await fs.stat(join(data, 'postgres/postmaster.pid'))).uid, 0)
  assert.equal(await second.end('SIGTERM'), 0)
})

test("root's copy of the programs is completed after files of the copy were deleted", onlyRoot, async () => {
  const top = temporaryDirectory()
  await fs.chmod(top, 0o755)
  const copies = join(top, 'copies')
  const installed = await installedBinaries()
  const copy = await copiedBinaries(installed, copies)
  const { ino } = await fs.stat(copy.directory)
  assert.equal(
    (await fs.stat((await copiedBinaries(installed, copies)).directory)).ino,
    ino,
    'the complete copy is reused',
  )

  await fs.rm(join(copy.directory, 'share'), { recursive: true })
  await copiedBinaries(installed, copies)
  const output = execFileSync(program(copy, 'postgres'), ['--version'], {
    uid: UNPRIVILEGED_UID,
    gid: UNPRIVILEGED_UID,
    cwd: '/',
    stdio: 'pipe',
  })
  assert.match(String(output), /PostgreSQL\) 18/)
  assert.deepEqual(await fs.readdir(copies), [copy.directory.slice(copies.length + 1)])
})
