import assert from 'node:assert/strict'
import { test } from 'node:test'
import { translate } from '../../src/db/error.ts'
import { Problem } from '../../src/domain/problem.ts'

/** As slonik hands it on: its own words, and the server's or the driver's answer as the cause. */
const wrapped = (message: string, code?: string) =>
  new Error('Query failed', { cause: Object.assign(new Error(message), code && { code }) })

const isAway = (error: unknown): boolean => {
  const told = translate(error)
  return told instanceof Problem && told.code === 'database_unavailable'
}

test('a lost connection reads as one, whichever driver says it', () => {
  for (const message of [
    'Connection terminated unexpectedly',
    'timeout expired',
    'Client has encountered a connection error and is not queryable',
    'Query read timeout',
    'Backend has been terminated unexpectedly.',
    'Connection pool has ended.',
    'Client was closed and is not queryable',
    'no answer from the database within 7000 ms: timeout expired',
  ])
    assert.ok(isAway(wrapped(message)), message)
  for (const code of ['57P01', '08006', '53300', 'ECONNREFUSED', 'ECONNRESET'])
    assert.ok(isAway(wrapped('whatever', code)), code)
})

test('what the server says about a statement does not, whatever words it uses', () => {
  for (const [message, code] of [
    ['unterminated quoted string at or near "x"', '42601'],
    ['recommended value extended', '22023'],
    ['the connection was terminated by the trigger', 'P0001'],
  ] as const)
    assert.ok(!isAway(wrapped(message, code)), message)
  for (const message of ['an extended reset of what is recommended', 'unterminated string in JSON'])
    assert.ok(!isAway(wrapped(message)), message)
})
