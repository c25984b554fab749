/** A network that swallows: connections stay open, and nothing comes through. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'slonik'
import { z } from 'zod'
import { openPool, row } from '../../src/db/pool.ts'
import { RELAY_LIMITS } from '../../src/relay/relay.ts'
import { startProxy } from '../relay/proxy.ts'
import { testDatabase } from '../support/cluster.ts'
import { startAgent, untilOk } from './support.ts'

type T = { after(fn: () => unknown): void }

const PROMISED_MS = 15_000

async function openProxy(t: T) {
  const port = Number(new URL(process.env.BLOUD_TEST_DATABASE_URL as string).port)
  const proxy = await startProxy({ host: '127.0.0.1', port })
  t.after(proxy.stop)
  return proxy
}

test('a swallowed connection to the database shows as stale in time', () => {
  assert.ok(RELAY_LIMITS.tickMs + RELAY_LIMITS.readLimitMs < PROMISED_MS)
})

test('when the database falls silent the stream says stale, and goes on without loss when it speaks again', async (t) => {
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
  await untilOk(() => agent.get('/readyz'))
})

test('a query over a connection that fell silent ends, and the next one gets a connection that speaks', async (t) => {
  const proxy = await openProxy(t)
  const database = await testDatabase('silent')
  const url = new URL(database.superuserUrl)
  url.port = String(proxy.port)
  const pool = await openPool(url.href, 'silent', 4, 200)
  t.after(async () => {
    await pool.end()
    await database.drop()
  })
  const ask = () => row(pool, z.number(), sql.fragment`select 1 as row`)
  assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [1, 1, 1])
  proxy.setMode('dropping')
  await assert.rejects(ask(), { code: 'database_unavailable' })
  // The connections that were open stay silent for ever; new ones work.
  proxy.dropOpenConnections()
  assert.equal(await ask(), 1)
})

test('connections that are cut in the middle of a query do not use up the pool', async (t) => {
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
    // A session that was idle only fails when it is used.
    await row(pool, one, sql.fragment`select 1 as row`).catch(() => undefined)
  }
  assert.equal(await row(pool, one, sql.fragment`select 1 as row`), 1)
})
