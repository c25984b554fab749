/**
 * Tests that snapshot() (status of all apps) returns the same values as the SQL functions for a single app.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { session, value } from '../support/sql.ts'

const STATUSES = [
  'queued',
  'configuring',
  'building',
  'starting',
  'running',
  'stopping',
  'stopped',
  'error',
  'failed',
]
const INACTIVE = ['failed', 'stopped', 'stopping']
const APPS = 54

const MAKE_APPS = `
  insert into bloud.catalog_cache (name, yaml_content, updated_at, entry, display_name, description,
    category, version, is_system)
  select 'app-' || i, '', now(),
    '{"integrations": {"base": {"required": true}, "extra": {"required": false}}}', 'app', '', '', '1', false
  from generate_series(0, $1 - 1) i;`
const MAKE_ROWS = `
  insert into bloud.apps (name, display_name, version, status, integration_config)
  select 'app-' || i, 'App ' || i, '1', ($2::text[])[i / 6 % 9 + 1], jsonb_build_object(
    'base', case when i % 6 = 0 then jsonb_build_array('app-' || i % 5, 'app-7')
      else jsonb_build_array('app-' || i % 5) end,
    'extra', jsonb_build_array('app-' || i % 3))
  from generate_series(0, $1 - 1) i`
const MAKE_HISTORY = `
  insert into bloud.events (seq, at, app, from_status, to_status, actor, origin, lasted, app_id,
    display_name, version, is_system, integration_config, updated_at)
  select i, now(), 'app-' || i % 9, 'building', 'starting', 'me', 'psql', make_interval(secs => i), i % 9,
    'App', '1', false, '{}', now()
  from generate_series(1, 60) i`

let database: TestDatabase
let root: pg.Client

before(async () => {
  database = await testDatabase('snapshot')
  root = await session(database.url)
  await root.query('set session_replication_role = replica')
  await root.query(MAKE_APPS, [APPS])
  await root.query(MAKE_ROWS, [APPS, STATUSES])
  await root.query(MAKE_HISTORY)
  await root.query('set session_replication_role = origin')
})
after(async () => {
  await root?.end()
  await database?.drop()
})

const needs = (index: number) => [`app-${index % 5}`, ...(index % 6 === 0 ? ['app-7'] : [])]

test('the snapshot of each app equals the results of required_by, controls and usual_duration', async () => {
  const { apps } = (await value(root, 'select bloud.snapshot()')) as { apps: Record<string, unknown>[] }
  assert.equal(apps.length, APPS)
  for (const app of apps) {
    const { rows } = await root.query(
      `select bloud.required_by($1) as required_by, bloud.controls($1) as controls,
      bloud.usual_duration($1, $2) as usual`,
      [app.name, app.status],
    )
    assert.deepEqual({ required_by: app.required_by, controls: app.controls, usual: app.usual }, rows[0])
  }
  assert.ok(apps.some(({ usual }) => usual !== null))
})

test('an app is required by active apps that need it, not by apps that use it optionally', async () => {
  for (let index = 0; index < APPS; index += 1) {
    const name = `app-${index}`
    const expected = Array.from({ length: APPS }, (_, other) => other)
      .filter((other) => other !== index && needs(other).includes(name))
      .filter((other) => !INACTIVE.includes(STATUSES[Math.floor(other / 6) % 9] as string))
      .map((other) => `app-${other}`)
    assert.deepEqual(await value(root, 'select bloud.required_by($1)', [name]), expected.sort())
  }
})

test('the status of all apps calls required_by only for apps that are in a slot of another app', async () => {
  const client = await session(database.url)
  async function calls(name: string): Promise<number> {
    const text = 'select calls::int from pg_stat_xact_user_functions where funcname = $1'
    return (await client.query(text, [name])).rows[0]?.calls ?? 0
  }
  async function callsIn(query: string): Promise<number[]> {
    const [controls, requiredBy] = [await calls('controls_of'), await calls('required_by')]
    await client.query(query)
    return [(await calls('controls_of')) - controls, (await calls('required_by')) - requiredBy]
  }
  // In one transaction, because PostgreSQL forgets these counts at its end.
  await client.query("begin; set local track_functions = 'all'")
  const inSlots = new Set(Array.from({ length: APPS }, (_, index) => needs(index)).flat())
  assert.deepEqual(await callsIn('select * from bloud.app_status'), [APPS, inSlots.size])
  assert.deepEqual(await callsIn("select * from bloud.app_status where name = 'app-1'"), [1, 1])
  await client.end()
})
