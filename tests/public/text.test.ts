import assert from 'node:assert/strict'
import { it } from 'node:test'
import { authorOf } from '../../public/state/text.js'

it('the author of an event is the agent, a named user, or a user without a name', () => {
  assert.equal(authorOf({ actor: 'bloud_orchestrator', origin: 'agent' }), 'the agent')
  assert.equal(authorOf({ actor: 'bloud_operator', origin: 'web' }), 'somebody on this page')
  assert.equal(authorOf({ actor: 'bloud_psql', origin: 'psql' }), 'somebody in psql')
  assert.equal(authorOf({ actor: 'bloud_operator', origin: 'psql' }), 'somebody in psql')
  assert.equal(authorOf({ actor: 'ada', origin: 'psql' }), 'ada in psql')
})
