/**
 * Creates databases for the SQL tests, and runs rebuilds as the orchestrator (worker that executes
 * operations) does.
 */
import assert from 'node:assert/strict'
import { after, afterEach, beforeEach } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { entry, lead, session, value } from '../support/sql.ts'

export interface Fixture {
  database: TestDatabase
  root: pg.Client
  operator: pg.Client
  attempt: number
}

/**
 * Creates a database with the catalog `entries` before each test. The fields of the result are set only then.
 */
export function useDatabase(label: string, entries: object[]): Fixture {
  const db = {} as Fixture
  async function close(): Promise<void> {
    await db.operator?.end()
    await db.root?.end()
    await db.database?.drop()
  }
  beforeEach(async () => {
    await close()
    db.database = await testDatabase(label)
    db.root = await session(db.database.url)
    db.operator = await session(db.database.urlFor('bloud_operator'))
    db.attempt = await lead(db.root, entries)
  })
  after(close)
  return db
}

/** Starts a rebuild of all queued operations. Returns its id, or undefined if no operation is queued. */
export function claim(db: Fixture): Promise<string | undefined> {
  return value(db.root, 'select id from bloud.claim_rebuild($1, 60)', [db.attempt])
}

/**
 * Records that the rebuild has started the switch command (`nixos-rebuild switch`) while generation 1 was
 * active.
 */
export function begin(db: Fixture, id: string): Promise<number> {
  return value(db.root, "select bloud.begin_run($1, $2, '1')", [db.attempt, id])
}

export async function statuses(db: Fixture): Promise<Record<string, string>> {
  const { rows } = await db.root.query('select name, status from bloud.apps order by name')
  return Object.fromEntries(rows.map(({ name, status }) => [name, status]))
}

const READER = entry('reader', {
  integrations: {
    store: { required: true, compatible: [{ app: 'a', default: true }, { app: 'b' }] },
  },
})
export const APP_CATALOG = ['a', 'b', 'c', 'd'].map((name, nth) => entry(name, { port: 4000 + nth }))

/**
 * Creates a database before each test, with the apps a, b, c, d and reader, which requires a or b. After each
 * test, the invariants of the database are checked.
 */
export function useGenerations(label: string): Fixture {
  const db = useDatabase(label, [...APP_CATALOG, READER])
  afterEach(async () => {
    assert.deepEqual((await db.root.query('select * from bloud.check_invariants()')).rows, [])
  })
  return db
}

/** Query for the apps of the next configuration of the machine, the argument p_desired of begin_run(). */
export const DESIRED = `select coalesce(jsonb_object_agg(d.name, jsonb_build_object(
  'version', d.version, 'port', d.port, 'integration_config', d.integration_config)), '{}')
  from bloud.desired_apps d`

/**
 * Runs a successful rebuild from generation `from` to generation `to`. If `known` is false, the database does
 * not store which apps `to` contains.
 */
export async function rebuild(db: Fixture, from: string | null, to: string, known = true): Promise<void> {
  const id = await claim(db)
  const desired = known ? JSON.stringify(await value(db.root, DESIRED)) : null
  await db.root.query('select bloud.begin_run($1, $2, $3, $4)', [db.attempt, id, from, desired])
  await db.root.query('select bloud.end_rebuild($1, $2, true, 0, $3)', [db.attempt, id, to])
  await db.root.query(
    "select bloud.report_health($1, name, true) from bloud.apps where status = 'starting'",
    [db.attempt],
  )
}

export async function install(
  db: Fixture,
  app: string,
  from: string | null,
  to: string,
  options = {},
): Promise<void> {
  await db.operator.query('select bloud.install($1, $2)', [app, options])
  await rebuild(db, from, to)
}

export function rollback(db: Fixture): Promise<string> {
  return value(db.operator, 'select id from bloud.rollback()')
}

export interface RollbackPlan {
  from: string
  to: string
  turns_off: string[]
  turns_on: string[]
  blockers: unknown[]
}

export function plan(db: Fixture): Promise<RollbackPlan> {
  return value(db.operator, 'select bloud.plan_rollback()')
}
