import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentOf } from '../../scripts/gallery.ts'
import { GALLERY } from '../../scripts/gallery-states.ts'
import { STATUSES } from '../../src/domain/status.ts'

for (const [name, state] of Object.entries(GALLERY)) {
  test(`the gallery renders ${name}`, () => {
    const html = documentOf(state)
    assert.match(html, /<main/)
    assert.doesNotMatch(html, /<script/, 'it connects to no agent')
    assert.doesNotMatch(html, /undefined|NaN/)
  })
}

test('each status of an app has a state in the gallery', () => {
  const shown = Object.values(GALLERY).flatMap(({ apps }) => Object.values(apps).map(({ status }) => status))
  assert.deepEqual(
    STATUSES.filter((status) => !shown.includes(status)),
    [],
  )
})
