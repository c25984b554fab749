import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { session } from '../support/sql.ts'

/** Query for database objects without a comment. Constraints need no comment. */
const UNCOMMENTED = `
  with named as (
    select 'pg_namespace'::regclass as class, oid, 0 as sub, 'schema' as what
    from pg_namespace where nspname = 'bloud'
    union all
    select 'pg_class'::regclass, c.oid, 0, format('relation %s', c.relname) from pg_class c
    where c.relnamespace = 'bloud'::regnamespace and c.relkind <> 'c'
      and not exists (select from pg_constraint k where k.conindid = c.oid)
    union all
    select 'pg_class'::regclass, c.oid, a.attnum, format('column %s.%s', c.relname, a.attname)
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'bloud'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'c', 'f')
    union all
    select 'pg_type'::regclass, t.oid, 0, format('type %s', t.typname)
    from pg_type t left join pg_class c on c.oid = t.typrelid
    where t.typnamespace = 'bloud'::regnamespace and t.typelem = 0 and coalesce(c.relkind, 'c') = 'c'
    union all
    select 'pg_proc'::regclass, p.oid, 0, format('function %s', p.oid::regprocedure) from pg_proc p
    where p.pronamespace = 'bloud'::regnamespace
    union all
    select 'pg_trigger'::regclass, t.oid, 0, format('trigger %s', t.tgname)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'bloud'::regnamespace and not t.tgisinternal)
  select n.what from named n
  where coalesce((select d.description from pg_description d
    where d.classoid = n.class and d.objoid = n.oid and d.objsubid = n.sub), '') = ''
  order by 1`

let database: TestDatabase
let client: pg.Client
before(async () => {
  database = await testDatabase('comments')
  client = await session(database.url)
})
after(async () => {
  await client.end()
  await database?.drop()
})

const uncommented = async (): Promise<string[]> =>
  (await client.query(UNCOMMENTED)).rows.map(({ what }) => what)

test('every object of the schema has a comment', async () => {
  assert.deepEqual(await uncommented(), [])
})

test('a new object without a comment is found, so the first test can fail', async () => {
  await client.query(`begin;
    create table bloud.t (c integer primary key);
    create view bloud.v as select 1 as one;
    create type bloud.y as enum ('a');
    create sequence bloud.s;
    create function bloud.f() returns integer language sql as 'select 1';
    comment on column bloud.apps.name is null`)
  const found = await uncommented()
  await client.query('rollback')
  const expected = ['column apps.name', 'column t.c', 'column v.one', 'function bloud.f()']
  assert.deepEqual(found, [...expected, 'relation s', 'relation t', 'relation v', 'type y'])
})

test('the README names every granted function, every view and every notification channel', async () => {
  const readme = readFileSync(join(ROOT, 'sql/README.md'), 'utf8')
  const { rows } = await client.query(`
    select distinct p.proname as name from pg_proc p cross join aclexplode(p.proacl) a
    where p.pronamespace = 'bloud'::regnamespace and a.grantee <> p.proowner
    union select c.relname from pg_class c where c.relnamespace = 'bloud'::regnamespace and c.relkind = 'v'`)
  assert.ok(rows.length > 40)
  const missing = rows.map(({ name }) => name).filter((name) => !new RegExp(`\\b${name}\\b`).test(readme))
  assert.deepEqual(missing, [])
  const triggers = readFileSync(join(ROOT, 'sql/triggers.sql'), 'utf8')
  const channels = [...triggers.matchAll(/(?:pg_notify|bloud\.notify_channel)\('(\w+)'/g)].map(
    ([, name]) => name,
  )
  assert.ok(channels.length > 4)
  for (const channel of channels) assert.match(readme, new RegExp(`^\\| \`${channel}\` \\|`, 'm'), channel)
})
