/**
 * Rebuilds that kill the orchestrator, the relay and PostgreSQL, at random moments of every phase: all of it ends as if
 * nothing had been. A machine that fails says its seed: `node scripts/random-failures.ts --seed=…` does the same again.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { makeShaken } from '../support/random-failures.ts'

const [MACHINES, ROUNDS] = [3, 8]

test(`${MACHINES * ROUNDS} rebuilds that kill who waits for them all end right`, async (t) => {
  const seeds = Array.from({ length: MACHINES }, () => randomInt(2 ** 31))
  t.diagnostic(`seeds ${seeds.join(', ')}`)
  const machines = await Promise.all(seeds.map(makeShaken))
  for (const machine of machines) t.after(machine.stop)
  const outcomes = await Promise.allSettled(machines.map((machine) => machine.shake(ROUNDS)))
  for (const outcome of outcomes)
    assert.equal(outcome.status, 'fulfilled', String((outcome as PromiseRejectedResult).reason))
})
