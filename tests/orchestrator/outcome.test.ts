import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cause } from '../../src/domain/app.ts'
import { judge, type Observation, wasSwitched } from '../../src/orchestrator/outcome.ts'
import { judgeRollback } from '../../src/orchestrator/rollback.ts'

const failure = (message: string) => ({ class: 'build' as const, message, log: ['last line'] })
const seen = (more: Partial<Observation>): Observation => ({
  state: { state: 'exited', exitCode: 1 },
  before: '1',
  after: '1',
  failures: {},
  installing: ['a', 'b'],
  log: ['one', 'two'],
  stopped: null,
  ...more,
})

test('whether the host was switched is seen, not promised by the exit code', () => {
  assert.equal(wasSwitched(seen({ state: { state: 'exited', exitCode: 0 } })), true, 'nothing had to change')
  assert.equal(
    wasSwitched(seen({ state: { state: 'exited', exitCode: 4 } })),
    true,
    'on, but some units failed',
  )
  assert.equal(wasSwitched(seen({})), false)
  assert.equal(wasSwitched(seen({ after: '2' })), true, 'another generation is on, whatever was said')
  assert.equal(
    wasSwitched(seen({ state: { state: 'lost' }, after: '2' })),
    true,
    'killed after it had switched',
  )
  assert.equal(wasSwitched(seen({ state: { state: 'lost' } })), false)
})

test('a named app fails alone', () => {
  const { failures, cause, split } = judge(seen({ failures: { b: failure('b does not build') } }))
  assert.deepEqual(Object.keys(failures), ['b'])
  assert.deepEqual(
    [failures.b?.message, failures.b?.exit_code, cause, split],
    ['b does not build', 1, null, false],
  )
})

test('an app that is not part of the request is named as the reason, and all of the request fails', () => {
  const { failures, cause, split } = judge(seen({ failures: { old: failure('is gone') } }))
  assert.deepEqual([failures, split], [{}, false])
  assert.match(cause?.message ?? '', /^old, which was installed before.*is gone$/)
})

test('when nobody is named, halves are tried, with what the host said as the cause of the last one', () => {
  const { cause, split } = judge(seen({ whole: { ...failure('it does not evaluate'), class: 'evaluate' } }))
  assert.equal(split, true)
  assert.deepEqual([cause?.class, cause?.message], ['evaluate', 'it does not evaluate'])
  const silent = judge(seen({}))
  assert.match(silent.cause?.message ?? '', /exit code 1/)
  assert.deepEqual(silent.cause?.log, ['one', 'two'])
})

test('what was interrupted says so and is not blamed on an app', () => {
  const { cause, split, failures } = judge(seen({ state: { state: 'lost' } }))
  assert.deepEqual([cause?.class, split, failures], ['interrupted', false, {}])
})

test('a stop on request fails the cancelled ones alone, unless the host was switched meanwhile', () => {
  const stopped = { causes: { a: { class: 'cancelled' as const, message: 'Cancelled' } }, all: null }
  const { failures, cause } = judge(seen({ stopped }))
  assert.deepEqual([Object.keys(failures), cause], [['a'], null])
  assert.equal(judge(seen({ stopped, after: '2' })).switched, true)
})

test('a rollback has succeeded when the older generation is on, and only then', () => {
  const at = (after: string | null, more: Partial<Observation> = {}) =>
    seen({ before: '3', after, state: { state: 'exited', exitCode: 0 }, ...more })
  const well = judgeRollback(at('2'), '2')
  assert.deepEqual([well.switched, well.cause], [true, null])
  const units = judgeRollback(at('2', { state: { state: 'lost' } }), '2')
  assert.equal(units.switched, true, 'however it ended')
  for (const after of ['3', '1', null]) {
    const { switched, cause, split } = judgeRollback(at(after), '2')
    assert.deepEqual([switched, split], [false, false])
    assert.match(cause?.message ?? '', /^The rollback did not succeed: generation \w+ is on, not 2$/)
  }
})

test('of a rollback that was stopped, everything was cancelled', () => {
  const cancelled: Cause = { class: 'cancelled', message: 'Cancelled on request' }
  const stopped = { causes: { b: cancelled }, all: null }
  const state = { state: 'exited', exitCode: 143 } as const
  const { failures, cause } = judgeRollback(seen({ before: '3', after: '3', state, stopped }), '2')
  assert.deepEqual([failures, cause], [{}, cancelled])
})
