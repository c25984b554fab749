import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createThrottle } from '../../src/relay/throttle.ts'

const createTestThrottle = () => createThrottle({ flushMs: 10, flushShare: 0.5, longestFlushMs: 30 })

test('the first event of a quiet stream is not delayed', () => {
  const quiet = createTestThrottle()
  assert.ok(quiet.wait(0) <= 0)
  quiet.done(0, 1)
  assert.ok(quiet.wait(1000) <= 0)
})

test('with few clients there is one round every 10 ms at most', () => {
  const few = createTestThrottle()
  few.done(100, 102)
  assert.equal(few.wait(102), 8)
})

test('a round of 12 ms is followed by 12 ms for other work', () => {
  const many = createTestThrottle()
  many.done(100, 112)
  assert.equal(many.wait(112), 12)
})

test('a very long round, as after sleep of the machine, does not delay the next round', () => {
  const slept = createTestThrottle()
  slept.done(0, 60_000)
  assert.ok(slept.wait(60_000) <= 0)
  slept.done(0, 25)
  assert.equal(slept.wait(25), 5)
})
