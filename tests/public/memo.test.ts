import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { VNode } from 'preact'
import { createMemo, PART } from '../../public/views/memo.js'

interface Facts {
  status: string
  controls: number
}

function createList() {
  const begin = createMemo<Facts>((before, now) => before.status !== now.status)
  return (cards: Record<string, Facts>, part = PART) => {
    const rendered: string[] = []
    const { memo, isLate } = begin(part)
    const elements = Object.entries(cards).map(([name, facts]) =>
      memo(name, facts, (shown) => {
        rendered.push(name)
        return { shown } as unknown as VNode
      }),
    )
    return { rendered, elements, isLate: isLate() }
  }
}

const cards = (count: number, facts: Facts): Record<string, Facts> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`app-${index}`, { ...facts }]))

describe('the cards of a memoized list', () => {
  it('are all rendered the first time, and not again while nothing changes', () => {
    const render = createList()
    const first = render(cards(3 * PART, { status: 'running', controls: 1 }))
    assert.deepEqual([first.rendered.length, first.isLate], [3 * PART, false])
    const same = render(cards(3 * PART, { status: 'running', controls: 1 }))
    assert.deepEqual([same.rendered, same.elements, same.isLate], [[], first.elements, false])
  })

  it('are rendered anew in parts, until each of them is up to date', () => {
    const render = createList()
    render(cards(2 * PART + 1, { status: 'running', controls: 1 }))
    const changed = cards(2 * PART + 1, { status: 'running', controls: 2 })
    const rounds = [render(changed), render(changed), render(changed), render(changed)]
    assert.deepEqual(
      rounds.map(({ rendered, isLate }) => [rendered.length, isLate]),
      [
        [PART, true],
        [PART, true],
        [1, false],
        [0, false],
      ],
    )
    assert.equal(new Set(rounds.flatMap(({ rendered }) => rendered)).size, 2 * PART + 1)
  })

  it('show a new status at once, however many other cards wait', () => {
    const render = createList()
    render(cards(3 * PART, { status: 'running', controls: 1 }))
    const changed = cards(3 * PART, { status: 'running', controls: 2 })
    const last = `app-${3 * PART - 1}`
    const { rendered } = render({ ...changed, [last]: { status: 'error', controls: 1 } })
    assert.deepEqual([rendered.length, rendered.at(-1)], [PART + 1, last])
  })

  it('are rendered anew after an absence from the list', () => {
    const render = createList()
    const facts = { status: 'running', controls: 1 }
    render({ a: facts, b: facts })
    render({ a: facts })
    assert.deepEqual(render({ a: facts, b: facts }).rendered, ['b'])
  })
})
