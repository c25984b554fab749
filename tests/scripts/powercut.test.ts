import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { startProcess } from '../support/agent.ts'
import { asOtherUser, OTHER_USER } from '../support/otheruser.ts'
import { powerCutObstacle } from '../support/powercut.ts'

const script = join(ROOT, 'scripts/powercut.ts')

test('after power cuts in a first start, an install and a second install, all apps run', {
  skip: powerCutObstacle() ?? false,
}, async () => {
  const program = startProcess(process.execPath, [script, '--rounds=3', '--seed=3'])
  assert.equal(await program.ended, 0, program.output())
  const { seed: _, ...counts } = JSON.parse(program.output().trim().split('\n').at(-1) ?? '')
  assert.deepEqual(counts, {
    rounds: 3,
    brokenApps: 0,
    deadInstallations: 0,
    cuts: { 'first start': 1, install: 1, reinstall: 1 },
  })
})

test('where no power can be cut, the reason is printed', asOtherUser, async () => {
  const program = startProcess(process.execPath, [script], OTHER_USER)
  assert.equal(await program.ended, 2, program.output())
  assert.match(program.output(), /^No power was cut: power cuts need root/)
})
