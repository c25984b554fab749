import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRenderScheduler } from '../../public/views/renderscheduler.js'

test('a status is rendered before it is replaced, even when renders are expensive', (t) => {
  const frames: (() => void)[] = []
  Object.assign(globalThis, {
    document: { hidden: false },
    requestAnimationFrame: (run: () => void) => frames.push(run),
  })
  t.after(() => Object.assign(globalThis, { document: undefined, requestAnimationFrame: undefined }))
  let clock = 0
  let status = ''
  const rendered: string[] = []
  const scheduler = createRenderScheduler(
    () => {
      rendered.push(status)
      clock += 10 // A render of 10 ms exceeds CHEAP_MS, so the next renders wait for a frame.
    },
    () => clock,
  )
  const changeTo = (next: string): void => {
    scheduler.beforeChange('app')
    status = next
    scheduler.schedule('app')
  }
  changeTo('queued')
  scheduler.beforeChange('app')
  for (const next of ['configuring', 'building', 'starting']) changeTo(next)
  for (const run of frames) run()
  assert.deepEqual(rendered, ['queued', 'configuring', 'building', 'starting'])
})
