import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimFile } from '../../src/system/atomicfile.ts'
import { temporaryDirectory } from '../support/directory.ts'

const top = temporaryDirectory()

test('a file that is claimed a second time keeps its content and mode', async () => {
  const path = join(top, 'claim')
  assert.equal(await claimFile(path, 'first', 0o600), true)
  assert.equal(await claimFile(path, 'second', 0o644), false)
  assert.equal(await readFile(path, 'utf8'), 'first')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(top), ['claim'])
})
