import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCoalesced } from '../../src/relay/coalesce.ts'
import { createFilter } from '../../src/relay/filter.ts'
import { createRing } from '../../src/relay/ring.ts'

const frame = (seq: number, size = 10) => ({ seq, text: `${seq}`.padEnd(size, '.') })
const textOf = (batch: { bytes: Uint8Array } | undefined) => Buffer.from(batch?.bytes ?? []).toString()

function ringOf(limits: { frames?: number; bytes?: number; batchBytes?: number }) {
  return createRing({ frames: 100, bytes: 10_000, batchBytes: 1000, ...limits })
}

test('the ring keeps the newest events and reports from which seq on it is complete', () => {
  const ring = ringOf({ frames: 3 })
  ring.reset(10)
  for (const seq of [11, 12, 15, 16, 17]) ring.push(frame(seq))
  assert.equal(ring.size, 3)
  assert.equal(ring.evictedTo, 12)
  assert.equal(ring.head, 17)
  assert.ok(ring.covers(12) && !ring.covers(11))
  assert.equal(ring.after(12)?.bytes.length, 30)
  assert.equal(ring.after(13)?.bytes.length, 30)
  assert.equal(ring.after(17), undefined)
})

test('the ring is also limited in bytes, but never evicts the only event', () => {
  const ring = ringOf({ bytes: 100 })
  for (let seq = 1; seq <= 50; seq += 1) ring.push(frame(seq, 30))
  assert.equal(ring.size, 3)
  assert.equal(ring.bytes, 90)
  ring.push(frame(51, 500))
  assert.equal(ring.size, 1)
  assert.equal(ring.after(50)?.seq, 51)
})

test('a batch contains as many events as fit into one write, and is shared', () => {
  const ring = ringOf({ batchBytes: 25 })
  for (const seq of [1, 2, 3, 4, 5]) ring.push(frame(seq))
  const first = ring.after(0)
  assert.equal(first?.seq, 2)
  assert.equal(ring.after(0), first)
  assert.equal(ring.after(2)?.seq, 4)
  assert.equal(ring.after(4)?.seq, 5)
  ring.push(frame(6))
  assert.equal(ring.after(4)?.seq, 6)
})

test('the ring stays in order after many wraps, in frames and in bytes', () => {
  const ring = ringOf({ frames: 7, bytes: 100 })
  let kept: { seq: number; text: string }[] = []
  for (let seq = 1; seq <= 1000; seq += 1) {
    const added = frame(seq, 4 + ((seq * 7919) % 25))
    ring.push(added)
    kept = [...kept, added].filter((each) => each.seq > ring.evictedTo)
    assert.equal(ring.size, kept.length)
    assert.ok(ring.size <= 7 && ring.bytes <= 100)
    assert.ok(ring.size >= Math.min(seq, 2), 'two small events always fit')
    let read = ''
    for (let at = ring.evictedTo; at < seq; ) {
      const batch = ring.after(at)
      read += textOf(batch)
      at = batch?.seq ?? seq
    }
    assert.equal(read, kept.map(({ text }) => text).join(''))
  }
})

test('the bytes of an event that needs several writes do not change when events follow', () => {
  const ring = ringOf({ bytes: 300, batchBytes: 100 })
  ring.push(frame(1, 250))
  const batch = ring.after(0)
  for (let seq = 2; seq <= 20; seq += 1) ring.push(frame(seq, 50))
  assert.equal(textOf(batch), frame(1, 250).text)
})

test('the size of events is counted in bytes, not in characters', () => {
  const ring = ringOf({ bytes: 100 })
  for (let seq = 1; seq <= 9; seq += 1) ring.push({ seq, text: 'Küche→☕' })
  assert.equal(ring.size, Math.floor(100 / Buffer.byteLength('Küche→☕')))
  assert.equal(textOf(ring.after(8)), 'Küche→☕')
})

test('calls during a load share one further load, which begins after the calls', async () => {
  const ends: (() => void)[] = []
  let loads = 0
  const run = createCoalesced(async () => {
    loads += 1
    const number = loads
    await new Promise<void>((resolve) => ends.push(resolve))
    return number
  })
  const [first, second, third] = [run(), run(), run()]
  ends[0]?.()
  assert.equal(await first, 1)
  while (ends.length < 2) await new Promise((resolve) => setImmediate(resolve))
  ends[1]?.()
  assert.deepEqual([await second, await third], [2, 2])
  assert.equal(loads, 2)
})

test('clients that received a part of a large event share one copy of the event', () => {
  const ring = ringOf({ batchBytes: 100 })
  const only = (...apps: string[]) => createFilter(apps)
  ring.push({ ...frame(1, 2000), app: 'a' })
  const first = ring.after(0)?.bytes
  ring.push(frame(2))
  assert.equal(ring.after(0)?.bytes, first, 'after another event')
  assert.equal(ring.after(0, only('a'))?.bytes, first, 'with a filter')
  assert.equal(ring.after(0, only('a', 'b'))?.bytes, first, 'with another filter')
  for (let seq = 3; seq <= 60; seq += 1) ring.push(frame(seq, 500))
  assert.equal(Buffer.from(first as Uint8Array).toString(), frame(1, 2000).text, 'it is not overwritten')
})
