import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { withoutGuard } from '../../scripts/guards/guard.ts'
import { GUARDS } from '../../scripts/guards/list.ts'

const ROOT = join(import.meta.dirname, '../..')

test('every listed guard is in the source code, and its tests exist', () => {
  assert.ok(GUARDS.length >= 40, `only ${GUARDS.length} guards are listed`)
  for (const guard of GUARDS) {
    withoutGuard(guard, readFileSync(join(ROOT, guard.file), 'utf8'))
    assert.ok(guard.tests.length > 0, guard.name)
    for (const path of guard.tests) assert.ok(existsSync(join(ROOT, path)), `${guard.name}: ${path}`)
  }
})
