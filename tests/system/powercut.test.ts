import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/directory.ts'
import { powerCutObstacle, startInside } from '../support/powercut.ts'

const top = temporaryDirectory()

test('after a power cut, everything that was published is whole', {
  skip: powerCutObstacle() ?? false,
}, async (t) => {
  const program = startInside(join(import.meta.dirname, 'fixtures/powercut-cases.ts'), [top])
  assert.equal(await program.ended, 0, program.output())
  for (const line of program.output().trim().split('\n')) {
    const { name, problem } = JSON.parse(line)
    await t.test(name, () => assert.equal(problem, null))
  }
})
