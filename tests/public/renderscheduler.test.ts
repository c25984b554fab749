import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRenderScheduler } from '../../public/views/renderscheduler.js'

test('a status is drawn before it is replaced, even when drawings are rare', (t) => {
  const frames: (() => void)[] = []
  Object.assign(globalThis, {
    document: { hidden: false },
    requestAnimationFrame: (run: () => void) => frames.push(run),
  })
  t.after(() => Object.assign(globalThis, { document: undefined, requestAnimationFrame: undefined }))
  let clock = 0
  let status = ''
  const drawn: string[] = []
  const drawing = createRenderScheduler(
    () => {
      drawn.push(status)
      clock += 10 // dear: from now on once a frame
    },
    () => clock,
  )
  const arrive = (next: string): void => {
    drawing.before('app')
    status = next
    drawing.soon('app')
  }
  arrive('queued')
  drawing.before('app')
  for (const next of ['configuring', 'building', 'starting']) arrive(next)
  for (const run of frames) run()
  assert.deepEqual(drawn, ['queued', 'configuring', 'building', 'starting'])
})
