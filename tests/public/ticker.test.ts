import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTicker, PART } from '../../public/views/ticker.js'

const EVERY_MS = 1000

describe('clocks that tick alike', () => {
  it('are told the time in parts, a part in a frame, and each of them once in a tick', (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const frames: (() => void)[] = []
    const watch = createTicker(EVERY_MS, (run) => frames.push(run))
    const told = Array.from({ length: 3 * PART - 1 }, () => 0)
    const sum = () => told.reduce((all, one) => all + one, 0)
    const ends = told.map((_, index) => watch(() => (told[index] = (told[index] ?? 0) + 1)))
    t.mock.timers.tick(EVERY_MS)
    assert.equal(sum(), PART)
    // A tick that comes before all have had their turn is none.
    t.mock.timers.tick(EVERY_MS)
    assert.deepEqual([sum(), frames.length], [PART, 1])
    ends[PART]?.()
    while (frames.length > 0) frames.shift()?.()
    assert.deepEqual(
      told.map((times, index) => [times, index === PART ? 0 : 1]).filter(([times, due]) => times !== due),
      [],
    )
    t.mock.timers.tick(EVERY_MS)
    assert.equal(sum(), 3 * PART - 2 + PART)
    for (const end of ends) end()
    frames.length = 0
    t.mock.timers.tick(EVERY_MS)
    assert.equal(sum(), 3 * PART - 2 + PART, 'nothing ticks where nobody looks')
  })
})
