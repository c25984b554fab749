/** Counts what an agent writes in a minute in which nothing happens, while an app runs. */
import assert from 'node:assert/strict'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { stringify } from 'yaml'
import { type Credentials, databaseUrl, readCredentials } from '../../src/postgres/credentials.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startWholeAgent } from '../support/npmstart.ts'
import { makeApp, makePackage } from '../support/packages.ts'
import { freePort } from '../support/port.ts'
import { session, value } from '../support/sql.ts'

const LIMIT_MS = 120_000
const MINUTE_MS = 60_000
/** Goal of a minute: 0.1 syncs of the disk per second. */
const MAX_SYNCS = 6
/** Renewals of the lease and reports of the worker every 25 s, and one stored check of the invariants. */
const MAX_TRANSACTIONS = 7
/** Goal of a minute: 50 MB a day. */
const MAX_WAL_BYTES = 50e6 / (24 * 60)

/** Longer than the 10 s after which an idle session of PostgreSQL reports what it has counted. */
const STATISTICS_MS = 11_000
/** Syncs by the processes that work only while something happens. */
const REPORTED_SYNCS = `select string_agg(i.fsyncs::text, ' ' order by i.backend_type, i.object, i.context)
  from pg_stat_io i where i.backend_type in ('client backend', 'checkpointer', 'autovacuum worker')`

const top = temporaryDirectory()

async function startIdleAgent(t: TestContext): Promise<{ dataDir: string; sql: pg.Client }> {
  const [dataDir, catalog] = [join(top, 'data'), join(top, 'catalog')]
  await mkdir(catalog)
  // Probes every second must not write either.
  const healthCheck = { path: '/health', interval: 1, timeout: 60 }
  const spec = await makePackage(join(top, 'packages'), { name: 'quiet' })
  const app = makeApp('quiet', await freePort(), spec, { healthCheck })
  await writeFile(join(catalog, 'quiet.yaml'), stringify(app))
  const agent = startWholeAgent(dataDir, await freePort(), { BLOUD_CATALOG_DIR: catalog })
  t.after(() => agent.end('SIGTERM'))
  await agent.up()
  const sql = await session(databaseUrl((await readCredentials(dataDir)) as Credentials, 'superuser'))
  t.after(() => sql.end())
  await untilTrue(sql, 'select exists (select from bloud.catalog_cache)')
  await sql.query("select bloud.install('quiet')")
  await untilTrue(sql, "select status = 'running' from bloud.apps")
  await untilTrue(sql, 'select checked_at is not null from bloud.invariant_check')
  return { dataDir, sql }
}

async function untilTrue(sql: pg.Client, text: string): Promise<void> {
  assert.ok(await pollUntil(() => value<boolean>(sql, text), LIMIT_MS), text)
}

/**
 * Does the work that PostgreSQL would otherwise do in this minute because of the start and the install, and
 * waits until each server process has reported its syncs. An agent that is not idle syncs all the time.
 */
async function settle(sql: pg.Client): Promise<void> {
  // Autovacuum works after the install, once, in this minute or in a later one.
  await sql.query('alter system set autovacuum = off')
  await sql.query('select pg_reload_conf()')
  await sql.query('vacuum (analyze)')
  await sql.query('vacuum (freeze)') // a read then changes no page: it sets no hint bit and removes no dead row
  await sql.query('checkpoint')
  let [last, since] = ['', performance.now()]
  const isReported = async () => {
    const syncs = await value<string>(sql, REPORTED_SYNCS)
    if (syncs !== last) [last, since] = [syncs, performance.now()]
    return performance.now() - since >= STATISTICS_MS
  }
  await pollUntil(isReported, MINUTE_MS)
}

interface Counts {
  /** Number of transactions that have changed a row, or locked one. */
  transactions: number
  syncs: number
  walBytes: number
}

async function counts(sql: pg.Client): Promise<Counts> {
  const { rows } = await sql.query(`select pg_snapshot_xmax(pg_current_snapshot())::text::int as transactions,
    (select sum(i.fsyncs)::int from pg_stat_io i) as syncs,
    (pg_current_wal_insert_lsn() - '0/0')::float as "walBytes"`)
  return rows[0]
}

/** Returns the version of each file of the agent and its apps, by path: its inode, its size and its times. */
async function files(dataDir: string): Promise<Map<string, string>> {
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const own = paths.filter((path) => !path.startsWith(join(dataDir, 'postgres/')))
  const versions = own.map(async (path): Promise<[string, string]> => {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path)
    return [path, `${ino} ${size} ${mtimeMs} ${ctimeMs}`]
  })
  return new Map(await Promise.all(versions))
}

test('an idle agent with an app writes no file, and to the database only its lease', async (t) => {
  const { dataDir, sql } = await startIdleAgent(t)
  await settle(sql)
  const [before, filesBefore] = [await counts(sql), await files(dataDir)]
  await sleep(MINUTE_MS)
  const [after, filesAfter] = [await counts(sql), await files(dataDir)]
  const written = {
    transactions: after.transactions - before.transactions,
    syncs: after.syncs - before.syncs,
    walBytes: after.walBytes - before.walBytes,
  }
  t.diagnostic(JSON.stringify(written))
  assert.ok(
    [...filesBefore.keys()].some((path) => path.endsWith('/state.json')),
    'the files are found',
  )
  assert.deepEqual(filesAfter, filesBefore, 'no file is written')
  assert.ok(written.syncs <= MAX_SYNCS, `${written.syncs} syncs of the disk`)
  assert.ok(written.transactions <= MAX_TRANSACTIONS, `${written.transactions} transactions that write`)
  assert.ok(written.walBytes <= MAX_WAL_BYTES, `${written.walBytes} bytes of WAL`)
})
