import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { SCHEMA_FILE, schemaText } from '../../scripts/schema.ts'
import { testDatabase } from '../support/cluster.ts'
import { session, value } from '../support/sql.ts'

/**
 * Major version of the PostgreSQL that wrote sql/schema.sql. The test is skipped with others, because they
 * format expressions differently.
 */
const MAJOR = 18

test('sql/schema.sql equals the output of `npm run schema`', async (t) => {
  const database = await testDatabase('schema')
  const client = await session(database.url)
  t.after(async () => {
    await client.end()
    await database.drop()
  })
  const major = await value<number>(client, "select current_setting('server_version_num')::int / 10000")
  if (major !== MAJOR) return t.skip(`written by PostgreSQL ${MAJOR}, this is ${major}`)
  assert.equal(await readFile(SCHEMA_FILE, 'utf8'), await schemaText(client))
  await client.query('alter table bloud.apps add column extra text')
  assert.notEqual(await readFile(SCHEMA_FILE, 'utf8'), await schemaText(client), 'a new column shows')
})
