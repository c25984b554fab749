/** Tests of lost database connections, including connections that stay open but transfer no data. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'slonik'
import { z } from 'zod'
import { openPool, row } from '../../src/db/pool.ts'
import { RELAY_LIMITS } from '../../src/relay/relay.ts'
import { startProxy } from '../relay/proxy.ts'
import { testDatabase } from '../support/cluster.ts'
import { startAgent, untilReady } from './support.ts'

type T = { after(fn: () => unknown): void }

const DOCUMENTED_LIMIT_MS = 15_000

async function openProxy(t: T) {
  const port = Number(new URL(process.env.BLOUD_TEST_DATABASE_URL as string).port)
  const proxy = await startProxy({ host: '127.0.0.1', port })
  t.after(proxy.stop)
  return proxy
}

test('a silent database connection is reported as stale within the documented 15 s', () => {
  assert.ok(RELAY_LIMITS.tickMs + RELAY_LIMITS.readLimitMs < DOCUMENTED_LIMIT_MS)
})

test('on a silent database connection the stream sends stale, then continues without loss', async (t) => {
  const proxy = await openProxy(t)
  const agent = await startAgent(t, { limits: { tickMs: 200, readLimitMs: 300 } }, proxy.port)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  proxy.setMode('dropping')
  await stream.until(() => stream.named('stale').length === 1)
  await agent.admin.query("select bloud.install('alpha')")
  proxy.cut()
  proxy.setMode('open')
  await stream.until(() => stream.named('app').length === 1)
  await untilReady(agent.url)
})

test('a rename without LISTEN session sends the event refresh after the next LISTEN', async (t) => {
  const proxy = await openProxy(t)
  const agent = await startAgent(t, {}, proxy.port)
  await agent.admin.query("select bloud.install('alpha')")
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  proxy.setMode('refusing')
  await agent.admin.query("select bloud.rename('alpha', 'Another name')")
  proxy.setMode('open')
  await stream.until(() => stream.named('refresh').length > 0)
})

test('a query on a silent connection fails, and the next query uses a new connection', async (t) => {
  const proxy = await openProxy(t)
  const database = await testDatabase('silent')
  const url = new URL(database.superuserUrl)
  url.port = String(proxy.port)
  const pool = await openPool(url.href, 'silent', 4, 200)
  t.after(async () => {
    await pool.end()
    await database.drop()
  })
  const query = () => row(pool, z.number(), sql.fragment`select 1 as row`)
  assert.deepEqual(await Promise.all([query(), query(), query()]), [1, 1, 1])
  proxy.setMode('dropping')
  await assert.rejects(query(), { code: 'database_unavailable' })
  // From here on, new connections transfer data again, but the connections that are already open do not.
  proxy.muteOpenConnections()
  assert.equal(await query(), 1)
})

test('connections that are cut during a query do not exhaust the pool', async (t) => {
  const proxy = await openProxy(t)
  const database = await testDatabase('cut')
  const url = new URL(database.superuserUrl)
  url.port = String(proxy.port)
  const pool = await openPool(url.href, 'cut', 2)
  t.after(async () => {
    await pool.end()
    await database.drop()
  })
  const one = z.number()
  for (let round = 0; round < 5; round += 1) {
    const slow = row(pool, one, sql.fragment`select 1 as row from pg_sleep(60)`)
    await row(pool, one, sql.fragment`select 1 as row`)
    proxy.cut()
    await assert.rejects(slow, { code: 'database_unavailable' })
    // This query may fail, because the pool may use a connection that was cut while it was idle.
    await row(pool, one, sql.fragment`select 1 as row`).catch(() => undefined)
  }
  assert.equal(await row(pool, one, sql.fragment`select 1 as row`), 1)
})
