import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freeze, readFrozen } from '../../scripts/freeze.ts'
import { ROOT } from '../../src/config.ts'
import { temporaryDirectory } from '../support/directory.ts'

const top = temporaryDirectory()

function folder(): { path: string; write(name: string, text: string): void } {
  const path = mkdtempSync(join(top, 'm-'))
  return { path, write: (name, text) => writeFileSync(join(path, name), text) }
}

test('no frozen migration of this repository was changed', () => {
  assert.deepEqual(readFrozen(join(ROOT, 'sql/migrations')).problems, [])
})

test('freezing adds each new migration once', () => {
  const { path, write } = folder()
  write('0001_a.sql', 'select 1')
  assert.deepEqual(readFrozen(path), { hashes: new Map(), unfrozen: ['0001_a.sql'], problems: [] })
  assert.deepEqual(freeze(path), ['0001_a.sql'])
  assert.deepEqual(freeze(path), [])
  write('0002_b.sql', 'select 2')
  assert.deepEqual(freeze(path), ['0002_b.sql'])
  assert.deepEqual([...readFrozen(path).hashes.keys()], ['0001_a.sql', '0002_b.sql'])
})

test('a changed, a deleted and an out-of-order migration are reported, and freezing refuses them', () => {
  const { path, write } = folder()
  write('0001_a.sql', 'select 1')
  write('0003_c.sql', 'select 3')
  freeze(path)
  write('0001_a.sql', 'select 1 ')
  assert.match(readFrozen(path).problems.join(), /^0001_a\.sql is frozen and was changed: write another/)
  assert.throws(() => freeze(path), /0001_a\.sql/)
  renameSync(join(path, '0001_a.sql'), join(path, '0002_a.sql'))
  assert.deepEqual(readFrozen(path).problems, [
    '0001_a.sql is frozen but does not exist',
    '0002_a.sql would run before 0003_c.sql, which is frozen',
  ])
})

test('two migrations with the same number are reported', () => {
  const { path, write } = folder()
  for (const name of ['0001_a.sql', '0001_b.sql']) write(name, 'select 1')
  assert.deepEqual(readFrozen(path).problems, ['0001_a.sql and 0001_b.sql have the same number'])
  assert.throws(() => freeze(path), /same number/)
})
