import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProblemLog } from '../../src/orchestrator/problemlog.ts'

test('a problem that lasts is logged when it begins, changes and ends', () => {
  const lines: string[] = []
  const log = {
    warn: (_: unknown, message: string) => void lines.push(`warn ${message}`),
    debug: () => undefined,
    info: (message: string) => void lines.push(`info ${message}`),
  }
  const problems = createProblemLog(log as never, 'the health check')
  problems.ended()
  for (let count = 0; count < 3; count++) problems.occurred(new Error('refused'), 'it failed')
  problems.occurred(new Error('read-only'), 'it failed')
  problems.ended()
  problems.ended()
  problems.occurred(new Error('read-only'), 'it failed')
  assert.deepEqual(lines, [
    'warn it failed',
    'warn it failed',
    'info the health check works again',
    'warn it failed',
  ])
})
