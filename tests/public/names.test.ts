/** Tests of the page with names that every plain object inherits, such as `constructor` and `__proto__`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { renderPage, renderState } from '../../public/serverrender.js'
import { HOME } from '../../public/state/route.js'
import { initialState, reduce } from '../../public/state/store.js'
import type { CatalogEntry, Message, Plan, Status } from '../../public/types.js'
import { PROTOTYPE_NAMES } from '../support/prototype-names.ts'
import { AT, appStatus, event, fold, snapshot, status } from './builders.ts'

const ORDINARY = ['calendar', 'gallery', 'weather']
const problem = { type: 'about:blank', title: 'No', status: 409, code: 'refused' }
const plan: Plan = { installs: [], choices: [], blockers: [] } as never
const row = { seq: 1, at: AT, from_status: null, to_status: 'queued', operation_id: 1 } as const
const operation = { id: 7, kind: 'install', state: 'queued' } as never

type Step = { kind: number; app: number; status: Status }

/** Returns a message of each kind that names an app. */
function messageOf({ kind, app: index, status: to }: Step, seq: number, names: string[]): Message {
  const name = names[index] as string
  const app = appStatus(name, to, { display_name: `App ${index}` })
  const messages: Message[] = [
    snapshot(seq, [app]),
    status(seq, [app]),
    event(seq, app),
    event(seq, app, null),
    { type: 'requested', app: name, action: 'install' },
    { type: 'accepted', app: name, action: 'install', operation },
    { type: 'refused', app: name, action: 'install', problem },
    { type: 'dismiss', app: name },
    { type: 'history', app: name, rows: [{ ...row, app: name } as never] },
    { type: 'navigate', route: { app: name, operationId: null } },
    { type: 'navigate', route: HOME },
    { type: 'log-open', app: name },
    { type: 'plan-open', app: name, plan },
    { type: 'plan-choose', slot: name, apps: [name] },
    { type: 'reset', reason: 'test' },
  ]
  return messages[kind % messages.length] as Message
}

const entryOf = (name: string, index: number): CatalogEntry =>
  ({ name, display_name: `App ${index}`, description: '', category: 'test', unavailable: null }) as never

/** Returns the state and its HTML after all steps, with each name replaced by its number. */
function outcome(steps: Step[], names: string[]): string[] {
  const first = reduce(initialState, { type: 'catalog', entries: names.slice(0, 2).map(entryOf) })
  const state = fold([snapshot(0, []), ...steps.map((step, at) => messageOf(step, at + 1, names))], first)
  const { title, body } = renderState(state)
  const anonymous = (text: string) =>
    names.reduce((result, name, index) => result.replaceAll(name, `#${index}`), text)
  return [JSON.stringify(state), title, body.replaceAll(/colour-\d+/g, 'colour')].map(anonymous)
}

test('an app with an inherited name is shown like any other app after any messages', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse(AT) }) // The page shows how long a status lasts.
  const names = fc.uniqueArray(fc.constantFrom(...PROTOTYPE_NAMES), { minLength: 3, maxLength: 3 })
  const step = fc.record({
    kind: fc.nat(14),
    app: fc.nat(2),
    status: fc.constantFrom<Status>('queued', 'building', 'running', 'failed', 'stopped'),
  })
  fc.assert(
    fc.property(names, fc.array(step, { maxLength: 12 }), (chosen, steps) => {
      assert.deepEqual(outcome(steps, chosen), outcome(steps, ORDINARY))
    }),
  )
})

test('the page of an unknown app with an inherited name says that there is no such app', () => {
  for (const name of PROTOTYPE_NAMES) {
    const facts = { path: `/apps/${name}`, hostname: 'box', status: { id: 'e.1', apps: [] }, catalog: [] }
    const { known, title, body } = renderPage({ ...facts, history: { app: name, rows: [] } })
    assert.equal(known, false, name)
    assert.equal(title, `${name} · Bloud`)
    assert.match(body, /There is no app called/)
  }
})

test('the page of an app called constructor shows the app', () => {
  const apps = [appStatus('constructor', 'running')]
  const facts = { path: '/apps/constructor', hostname: 'box', status: { id: 'e.1', apps }, catalog: [] }
  const { known, title, body } = renderPage(facts)
  assert.deepEqual([known, title], [true, 'Running CONSTRUCTOR · Bloud'])
  assert.match(body, /data-app="constructor" data-status="running"/)
})
