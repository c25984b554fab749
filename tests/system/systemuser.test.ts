import assert from 'node:assert/strict'
import { lstat, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { changeOwner } from '../../src/system/systemuser.ts'
import { temporaryDirectory } from '../support/directory.ts'

const top = temporaryDirectory()
const onlyRoot = { skip: process.getuid?.() === 0 ? false : 'only root can change the owner' }
const USER = { uid: 54_321, gid: 54_322 }

test('a change of the owner changes nothing behind a symbolic link', onlyRoot, async () => {
  const [given, outside] = [join(top, 'given'), join(top, 'outside')]
  await mkdir(join(given, 'deep'), { recursive: true })
  await mkdir(join(outside, 'folder'), { recursive: true })
  await writeFile(join(given, 'deep', 'file'), 'text')
  await writeFile(join(outside, 'folder', 'file'), 'text')
  await symlink(outside, join(given, 'deep', 'link'))
  await symlink(join(outside, 'folder', 'file'), join(given, 'file-link'))
  await symlink('/nowhere', join(given, 'dangling'))
  await changeOwner(USER, given)
  for (const path of ['', 'deep', 'deep/file', 'deep/link', 'file-link', 'dangling'])
    assert.equal((await lstat(join(given, path))).uid, USER.uid, path)
  for (const path of ['', 'folder', 'folder/file'])
    assert.equal((await stat(join(outside, path))).uid, 0, `outside/${path}`)
})

test('a change of the owner can be limited to the entries of one user', onlyRoot, async () => {
  const given = join(top, 'mixed')
  await mkdir(given)
  await writeFile(join(given, 'of-root'), 'text')
  await writeFile(join(given, 'of-another'), 'text')
  await changeOwner({ uid: 54_400, gid: 54_400 }, given)
  await rm(join(given, 'of-root'))
  await writeFile(join(given, 'of-root'), 'text')
  await changeOwner(USER, given, 0)
  assert.equal((await stat(given)).uid, 54_400)
  assert.equal((await stat(join(given, 'of-another'))).uid, 54_400)
  assert.equal((await stat(join(given, 'of-root'))).uid, USER.uid)
})
