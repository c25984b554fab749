import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cause } from '../../src/domain/app.ts'
import { decideOutcome, type Observation, wasSwitched } from '../../src/orchestrator/outcome.ts'
import { decideRollbackOutcome } from '../../src/orchestrator/rollback.ts'

const failure = (message: string) => ({ class: 'build' as const, message, log: ['last line'] })
const observed = (more: Partial<Observation>): Observation => ({
  state: { state: 'exited', exitCode: 1 },
  before: '1',
  after: '1',
  failures: {},
  installing: ['a', 'b'],
  log: ['one', 'two'],
  stopped: null,
  ...more,
})

test('the active generation proves a switch, whatever the exit code of the run', () => {
  assert.equal(
    wasSwitched(observed({ state: { state: 'exited', exitCode: 0 } })),
    true,
    'nothing had to change',
  )
  assert.equal(
    wasSwitched(observed({ state: { state: 'exited', exitCode: 4 } })),
    true,
    'active, but some units failed',
  )
  assert.equal(wasSwitched(observed({})), false)
  assert.equal(
    wasSwitched(observed({ after: '2' })),
    true,
    'another generation is active, whatever the exit code',
  )
  assert.equal(
    wasSwitched(observed({ state: { state: 'lost' }, after: '2' })),
    true,
    'the run was killed after the switch',
  )
  assert.equal(wasSwitched(observed({ state: { state: 'lost' } })), false)
})

test('only the app that the host names fails', () => {
  const { failures, cause, split } = decideOutcome(observed({ failures: { b: failure('b does not build') } }))
  assert.deepEqual(Object.keys(failures), ['b'])
  assert.deepEqual(
    [failures.b?.message, failures.b?.exit_code, cause, split],
    ['b does not build', 1, null, false],
  )
})

test('a failure of an app installed before fails all operations of the rebuild and is named in the cause', () => {
  const { failures, cause, split } = decideOutcome(observed({ failures: { old: failure('is gone') } }))
  assert.deepEqual([failures, split], [{}, false])
  assert.match(cause?.message ?? '', /^old, which was installed before.*is gone$/)
})

test('a failure without the name of an app splits the rebuild, with the failure of the host as the cause', () => {
  const { cause, split } = decideOutcome(
    observed({ unattributed: { ...failure('it does not evaluate'), class: 'evaluate' } }),
  )
  assert.equal(split, true)
  assert.deepEqual([cause?.class, cause?.message], ['evaluate', 'it does not evaluate'])
  const withoutFailure = decideOutcome(observed({}))
  assert.match(withoutFailure.cause?.message ?? '', /exit code 1/)
  assert.deepEqual(withoutFailure.cause?.log, ['one', 'two'])
})

test('an interrupted run has the cause "interrupted" and fails no single app', () => {
  const { cause, split, failures } = decideOutcome(observed({ state: { state: 'lost' } }))
  assert.deepEqual([cause?.class, split, failures], ['interrupted', false, {}])
})

test('a stop on request fails only the cancelled operations, unless the host was switched before', () => {
  const stopped = { causes: { a: { class: 'cancelled' as const, message: 'Cancelled' } }, all: null }
  const { failures, cause } = decideOutcome(observed({ stopped }))
  assert.deepEqual([Object.keys(failures), cause], [['a'], null])
  assert.equal(decideOutcome(observed({ stopped, after: '2' })).switched, true)
})

test('a rollback succeeds only if the older generation is active', () => {
  const at = (after: string | null, more: Partial<Observation> = {}) =>
    observed({ before: '3', after, state: { state: 'exited', exitCode: 0 }, ...more })
  const succeeded = decideRollbackOutcome(at('2'), '2')
  assert.deepEqual([succeeded.switched, succeeded.cause], [true, null])
  const lost = decideRollbackOutcome(at('2', { state: { state: 'lost' } }), '2')
  assert.equal(lost.switched, true, 'whatever the state of the run')
  for (const after of ['3', '1', null]) {
    const { switched, cause, split } = decideRollbackOutcome(at(after), '2')
    assert.deepEqual([switched, split], [false, false])
    assert.match(cause?.message ?? '', /^The rollback did not succeed: generation \w+ is active, not 2$/)
  }
})

test('the cause of a stopped rollback is the cancel', () => {
  const cancelled: Cause = { class: 'cancelled', message: 'Cancelled on request' }
  const stopped = { causes: { b: cancelled }, all: null }
  const state = { state: 'exited', exitCode: 143 } as const
  const { failures, cause } = decideRollbackOutcome(
    observed({ before: '3', after: '3', state, stopped }),
    '2',
  )
  assert.deepEqual([failures, cause], [{}, cancelled])
})
