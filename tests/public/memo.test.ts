import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { VNode } from 'preact'
import { createMemo, PART } from '../../public/views/memo.js'

interface Facts {
  status: string
  controls: number
}

/** Draws cards as a list does, and says which were made anew. */
function createList() {
  const begin = createMemo<Facts>((before, now) => before.status !== now.status)
  return (cards: Record<string, Facts>, part = PART) => {
    const made: string[] = []
    const { keep, isLate } = begin(part)
    const drawn = Object.entries(cards).map(([name, facts]) =>
      keep(name, facts, (shown) => {
        made.push(name)
        return { shown } as unknown as VNode
      }),
    )
    return { made, drawn, isLate: isLate() }
  }
}

const cards = (count: number, facts: Facts): Record<string, Facts> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`app-${index}`, { ...facts }]))

describe('drawings of many cards', () => {
  it('are all made the first time, and none again while nothing changes', () => {
    const draw = createList()
    const all = cards(3 * PART, { status: 'running', controls: 1 })
    const first = draw(all)
    assert.deepEqual([first.made.length, first.isLate], [3 * PART, false])
    const same = draw(cards(3 * PART, { status: 'running', controls: 1 }))
    assert.deepEqual([same.made, same.drawn, same.isLate], [[], first.drawn, false])
  })

  it('are made anew in parts, and every one of them in the end', () => {
    const draw = createList()
    draw(cards(2 * PART + 1, { status: 'running', controls: 1 }))
    const news = cards(2 * PART + 1, { status: 'running', controls: 2 })
    const rounds = [draw(news), draw(news), draw(news), draw(news)]
    assert.deepEqual(
      rounds.map(({ made, isLate }) => [made.length, isLate]),
      [
        [PART, true],
        [PART, true],
        [1, false],
        [0, false],
      ],
    )
    assert.equal(new Set(rounds.flatMap(({ made }) => made)).size, 2 * PART + 1)
  })

  it('never let a status wait, however many others do', () => {
    const draw = createList()
    draw(cards(3 * PART, { status: 'running', controls: 1 }))
    const news = cards(3 * PART, { status: 'running', controls: 2 })
    const last = `app-${3 * PART - 1}`
    const { made } = draw({ ...news, [last]: { status: 'error', controls: 1 } })
    assert.deepEqual([made.length, made.at(-1)], [PART + 1, last])
  })

  it('begin anew for what was gone meanwhile', () => {
    const draw = createList()
    const one = { status: 'running', controls: 1 }
    draw({ a: one, b: one })
    draw({ a: one })
    assert.deepEqual(draw({ a: one, b: one }).made, ['b'])
  })
})
