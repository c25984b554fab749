import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pollUntil, TimeLimitError, timeLimitError, withTimeout } from '../../src/system/timeout.ts'

const never = new Promise<number>(() => undefined)

test('a promise that settles in time keeps its value or its error', async () => {
  assert.equal(await withTimeout(Promise.resolve(7), 1_000), 7)
  assert.equal(await withTimeout(Promise.resolve(7), 1_000, timeLimitError('It')), 7)
  await assert.rejects(withTimeout(Promise.reject(new Error('its own')), 1_000), /its own/)
})

test('a promise that takes too long gives undefined, or the error that the caller makes', async () => {
  assert.equal(await withTimeout(never, 5), undefined)
  const rejected = withTimeout(never, 5, timeLimitError('It'))
  await assert.rejects(rejected, (error) => error instanceof TimeLimitError)
  await assert.rejects(rejected, { message: 'It took longer than 5 ms' })
})

test('a rejection after the limit does not end the process', async () => {
  const { promise, reject } = Promise.withResolvers<number>()
  assert.equal(await withTimeout(promise, 5), undefined)
  reject(new Error('too late'))
  await new Promise((resolve) => setImmediate(resolve))
})

test('polling returns the first truthy value, and null once the limit has passed', async () => {
  let checks = 0
  assert.equal(await pollUntil(async () => (++checks < 3 ? undefined : checks), 1_000), 3)
  assert.equal(await pollUntil(() => false, 60), null)
  assert.equal(await pollUntil(() => true, 0), true)
})
