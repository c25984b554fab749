/** `status_at()` is the history folded up to a moment: random histories, random moments. */
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

/** One move: which app, which of its legal moves, and how long after the one before; sometimes at the same moment. */
const move = fc.record({
  app: fc.constantFrom(...APPS),
  pick: fc.nat(20),
  seconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90 })),
})
const history = fc.record({
  moves: fc.array(move, { minLength: 1, maxLength: 40 }),
  moments: fc.array(fc.integer({ min: -10, max: 2_000 }), { minLength: 5, maxLength: 15 }),
})

interface Moved {
  app: string
  to: string | null
  at: number
}

/** Moves rows by hand, as the legal moves allow, each move at its time. Returns what was done. */
async function live(moves: { app: string; pick: number; seconds: number }[]): Promise<Moved[]> {
  const now = new Map<string, string>()
  const done: Moved[] = []
  const script = [
    'set session_replication_role = replica; delete from bloud.events; delete from bloud.apps',
    'set session_replication_role = origin',
  ]
  let at = BEGINNING
  for (const { app, pick, seconds } of moves) {
    at += seconds * 1000
    const from = now.get(app) ?? null
    const choices = legal.filter(({ from_status, to_status }) => {
      // What was configured once is not simply withdrawn: its row stays until a purge.
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
    return `insert into bloud.apps (name, display_name, version, status) values ('${app}', '${app}', '1', '${to}')`
  }
  return to === null
    ? `delete from bloud.apps where name = '${app}'`
    : `update bloud.apps set status = '${to}' where name = '${app}'`
}

function folded(done: Moved[], app: string, moment: number): string | null {
  let status: string | null = null
  for (const each of done) if (each.app === app && each.at <= moment) status = each.to
  return status
}

async function compare(moves: Parameters<typeof live>[0], moments: number[]): Promise<void> {
  const done = await live(moves)
  // Besides the random ones: each move's own moment, and the one before it.
  const all = [
    ...moments.map((seconds) => BEGINNING + seconds * 1000),
    ...done.flatMap(({ at }) => [at, at - 1]),
  ]
  const asked = all.flatMap((moment) => APPS.map((app) => ({ app, at: new Date(moment).toISOString() })))
  const text = `select jsonb_agg(bloud.status_at(q ->> 'app', (q ->> 'at')::timestamptz) order by n)
    from jsonb_array_elements($1) with ordinality as asked (q, n)`
  const told = await value<(string | null)[]>(root, text, [JSON.stringify(asked)])
  const expected = asked.map(({ app, at }) => folded(done, app, Date.parse(at)))
  assert.deepEqual(
    asked.map((each, n) => ({ ...each, status: told[n] })),
    asked.map((each, n) => ({ ...each, status: expected[n] })),
  )
}

test(`the status at a time is the last move up to then, in ${RUNS} random histories (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(history, ({ moves, moments }) => compare(moves, moments)),
    { seed: SEED, numRuns: RUNS, ...(PATH ? { path: PATH } : {}) },
  )
})
