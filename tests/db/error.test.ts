import assert from 'node:assert/strict'
import { test } from 'node:test'
import { translate } from '../../src/db/error.ts'
import { Problem } from '../../src/domain/problem.ts'

/** Returns an error as slonik throws it: the error of PostgreSQL or of the driver is the cause. */
const wrapped = (message: string, code?: string) =>
  new Error('Query failed', { cause: Object.assign(new Error(message), code && { code }) })

const isUnavailable = (error: unknown): boolean => {
  const translated = translate(error)
  return translated instanceof Problem && translated.code === 'database_unavailable'
}

test('a lost connection becomes database_unavailable, with the messages of every driver', () => {
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
    assert.ok(isUnavailable(wrapped(message)), message)
  for (const code of ['57P01', '08006', '53300', 'ECONNREFUSED', 'ECONNRESET'])
    assert.ok(isUnavailable(wrapped('any message', code)), code)
})

test('each class of failures of the server is temporary, and a read-only database has a code of its own', () => {
  for (const code of ['28000', '28P01', '3D000', '53100', '53200', '57014', '57P03', '58030', '58P01'])
    assert.ok(isUnavailable(wrapped('any message', code)), code)
  for (const code of ['EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
    assert.ok(isUnavailable(wrapped('any message', code)), code)
  const readOnly = translate(wrapped('cannot execute INSERT in a read-only transaction', '25006'))
  assert.ok(readOnly instanceof Problem && readOnly.code === 'database_read_only' && readOnly.status === 503)
  const deadlock = translate(wrapped('deadlock detected', '40P01'))
  assert.ok(deadlock instanceof Problem && deadlock.code === 'busy')
})

test('an error of a statement never becomes database_unavailable, with any message', () => {
  for (const [message, code] of [
    ['unterminated quoted string at or near "x"', '42601'],
    ['recommended value extended', '22023'],
    ['the connection was terminated by the trigger', 'P0001'],
  ] as const)
    assert.ok(!isUnavailable(wrapped(message, code)), message)
  for (const message of ['an extended reset of what is recommended', 'unterminated string in JSON'])
    assert.ok(!isUnavailable(wrapped(message)), message)
})
