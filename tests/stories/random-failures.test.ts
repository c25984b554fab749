/**
 * Tests that rebuilds (changes of the machine) have the right result although processes are killed at random
 * moments. If a test fails, `node scripts/random-failures.ts --seed=…` repeats its random numbers.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { startFailingMachine } from '../support/random-failures.ts'

const [MACHINES, ROUNDS] = [3, 8]

test(`${MACHINES * ROUNDS} rebuilds during which processes are killed all have the expected result`, async (t) => {
  const seeds = Array.from({ length: MACHINES }, () => randomInt(2 ** 31))
  t.diagnostic(`seeds ${seeds.join(', ')}`)
  const machines = await Promise.all(seeds.map(startFailingMachine))
  for (const machine of machines) t.after(machine.stop)
  const outcomes = await Promise.allSettled(machines.map((machine) => machine.runRounds(ROUNDS)))
  for (const outcome of outcomes)
    assert.equal(outcome.status, 'fulfilled', String((outcome as PromiseRejectedResult).reason))
})
