import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { lstat, mkdir, open, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { prepareHome } from '../../../src/host/local/appfiles.ts'
import { readableForm } from '../../../src/host/local/store.ts'
import { temporaryDirectory } from '../../support/directory.ts'

const top = temporaryDirectory()
const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot ? false : 'only root can change the owner' }
const USER = { uid: 54_321, gid: 54_322 }
/** Larger than what Node reads as one text. */
const LARGE_BYTES = 3 * 1024 ** 3

async function checkKept(home: string, user: typeof USER | null): Promise<void> {
  await mkdir(join(home, 'folder'), { recursive: true })
  await symlink('/nowhere/file', join(home, 'dangling'))
  await symlink(join(home, 'target'), join(home, 'link'))
  await writeFile(join(home, 'target'), '')
  await writeFile(join(home, 'empty'), '')
  execFileSync('mkfifo', [join(home, 'pipe')])
  const large = await open(join(home, 'large'), 'w')
  await large.truncate(LARGE_BYTES)
  await large.close()
  const names = ['large', 'folder', 'dangling', 'link', 'pipe', 'empty', 'absent', 'deep/absent']
  await prepareHome(home, Object.fromEntries(names.map((name) => [name, 'text'])), user)
  assert.equal((await lstat(join(home, 'large'))).size, LARGE_BYTES)
  assert.ok((await lstat(join(home, 'folder'))).isDirectory())
  assert.ok((await lstat(join(home, 'pipe'))).isFIFO())
  assert.equal(await readlink(join(home, 'dangling')), '/nowhere/file')
  assert.equal(await readlink(join(home, 'link')), join(home, 'target'))
  assert.equal(await readFile(join(home, 'target'), 'utf8'), '')
  for (const name of ['empty', 'absent', 'deep/absent'])
    assert.equal(await readFile(join(home, name), 'utf8'), 'text', name)
}

test('what an app put in the place of its initial files is kept and not read', async () => {
  await checkKept(join(top, 'own', 'app'), null)
})

test('as root, what an app put in the place of its initial files is kept', onlyRoot, async () => {
  await checkKept(join(top, 'other', 'app'), USER)
})

test('as root, a local package is copied, and a tarball keeps the end of its name', onlyRoot, async () => {
  const folder = join(top, 'package')
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{"name":"some"}', { mode: 0o600 })
  await writeFile(join(top, 'some-1.0.0.tgz'), 'tarball', { mode: 0o600 })
  for (const [source, file] of [
    [folder, 'package.json'],
    [join(top, 'some-1.0.0.tgz'), ''],
  ] as const) {
    const form = { package: `file:${source}` } as Parameters<typeof readableForm>[0]
    const found = await readableForm(form, join(top, 'copy'), { ...USER })
    assert.ok(found.package.startsWith(`file:${join(top, 'copy')}/`), found.package)
    assert.equal(found.package.endsWith('.tgz'), file === '')
    assert.ok((await lstat(join(found.package.slice('file:'.length), file))).isFile())
    assert.equal(await readableForm(form, join(top, 'copy'), null), form)
  }
})
