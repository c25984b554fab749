import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTicker, PART } from '../../public/views/ticker.js'

const EVERY_MS = 1000

describe('the ticker', () => {
  it('calls its listeners in parts, one part in a frame, and each listener once in a tick', (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const frames: (() => void)[] = []
    const subscribe = createTicker(EVERY_MS, (run) => frames.push(run))
    const calls = Array.from({ length: 3 * PART - 1 }, () => 0)
    const sum = () => calls.reduce((total, count) => total + count, 0)
    const removers = calls.map((_, index) => subscribe(() => (calls[index] = (calls[index] ?? 0) + 1)))
    t.mock.timers.tick(EVERY_MS)
    assert.equal(sum(), PART)
    // This tick is skipped, because not all listeners of the previous tick have been called.
    t.mock.timers.tick(EVERY_MS)
    assert.deepEqual([sum(), frames.length], [PART, 1])
    removers[PART]?.()
    while (frames.length > 0) frames.shift()?.()
    assert.deepEqual(
      calls.map((count, index) => [count, index === PART ? 0 : 1]).filter(([count, due]) => count !== due),
      [],
    )
    t.mock.timers.tick(EVERY_MS)
    assert.equal(sum(), 3 * PART - 2 + PART)
    for (const remove of removers) remove()
    frames.length = 0
    t.mock.timers.tick(EVERY_MS)
    assert.equal(sum(), 3 * PART - 2 + PART, 'the timer stops with the last listener')
  })
})
