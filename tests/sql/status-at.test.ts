/** Tests status_at(), which returns an app's status at a past time, with random histories. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { session, value } from '../support/sql.ts'

const RUNS = 400
const SEED = Number(process.env.MODEL_SEED ?? Date.now() % 2 ** 31)
const PATH = process.env.MODEL_PATH
const APPS = ['flow', 'disk', 'cloud']
const BEGINNING = Date.parse('2026-01-01T00:00:00Z')

let database: TestDatabase
let root: pg.Client
let legal: { from_status: string | null; to_status: string | null }[]

before(async () => {
  database = await testDatabase('status_at')
  root = await session(database.url)
  legal = (await root.query('select from_status, to_status from bloud.status_transitions order by 1, 2')).rows
})
after(async () => {
  await root?.end()
  await database?.drop()
})

/** Random status change: `pick` selects a legal one, and `seconds` is the time since the previous change. */
const transition = fc.record({
  app: fc.constantFrom(...APPS),
  pick: fc.nat(20),
  seconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90 })),
})
const history = fc.record({
  transitions: fc.array(transition, { minLength: 1, maxLength: 40 }),
  seconds: fc.array(fc.integer({ min: -10, max: 2_000 }), { minLength: 5, maxLength: 15 }),
})

interface Transition {
  app: string
  to: string | null
  at: number
}

async function apply(transitions: { app: string; pick: number; seconds: number }[]): Promise<Transition[]> {
  const now = new Map<string, string>()
  const done: Transition[] = []
  const script = [
    'set session_replication_role = replica; delete from bloud.events; delete from bloud.apps',
    'set session_replication_role = origin',
  ]
  let at = BEGINNING
  for (const { app, pick, seconds } of transitions) {
    at += seconds * 1000
    const from = now.get(app) ?? null
    const choices = legal.filter(({ from_status, to_status }) => {
      // Omits the deletion of a queued app, which the database refuses for an app that was ever configured.
      return from_status === from && !(from === 'queued' && to_status === null)
    })
    const to = choices[pick % choices.length]?.to_status ?? null
    script.push(
      `begin; set local bloud.clock = '${new Date(at).toISOString()}'`,
      statement(app, from, to),
      'commit',
    )
    if (to) now.set(app, to)
    else now.delete(app)
    done.push({ app, to, at })
  }
  await root.query(script.join(';\n'))
  return done
}

function statement(app: string, from: string | null, to: string | null): string {
  if (from === null) {
    return `insert into bloud.apps (name, display_name, version, status)
      values ('${app}', '${app}', '1', '${to}')`
  }
  return to === null
    ? `delete from bloud.apps where name = '${app}'`
    : `update bloud.apps set status = '${to}' where name = '${app}'`
}

function fold(done: Transition[], app: string, time: number): string | null {
  let status: string | null = null
  for (const each of done) if (each.app === app && each.at <= time) status = each.to
  return status
}

async function compare(transitions: Parameters<typeof apply>[0], seconds: number[]): Promise<void> {
  const done = await apply(transitions)
  const times = [...seconds.map((each) => BEGINNING + each * 1000), ...done.flatMap(({ at }) => [at, at - 1])]
  const queries = times.flatMap((time) => APPS.map((app) => ({ app, at: new Date(time).toISOString() })))
  const text = `select jsonb_agg(bloud.status_at(q ->> 'app', (q ->> 'at')::timestamptz) order by n)
    from jsonb_array_elements($1) with ordinality as queries (q, n)`
  const actual = await value<(string | null)[]>(root, text, [JSON.stringify(queries)])
  const expected = queries.map(({ app, at }) => fold(done, app, Date.parse(at)))
  assert.deepEqual(
    queries.map((each, n) => ({ ...each, status: actual[n] })),
    queries.map((each, n) => ({ ...each, status: expected[n] })),
  )
}

test(`status_at() returns the status at a time, in ${RUNS} random histories (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(history, ({ transitions, seconds }) => compare(transitions, seconds)),
    { seed: SEED, numRuns: RUNS, ...(PATH ? { path: PATH } : {}) },
  )
})
