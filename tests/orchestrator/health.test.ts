/** Tests when the health checker probes an app, reads the apps again and wants its next call. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { openPool, type Pool } from '../../src/db/pool.ts'
import type { Host } from '../../src/host/index.ts'
import { createLogger } from '../../src/log.ts'
import type { Context } from '../../src/orchestrator/context.ts'
import { createHealth, type Health } from '../../src/orchestrator/health.ts'
import { createWakeup, type Wakeup } from '../../src/orchestrator/wakeup.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { lead, rebuildAll, session, value, waitingForLock } from '../support/sql.ts'

const LIMIT_MS = 30_000
/** Longer than any wait of the test, so that no probe is due because of it. */
const INTERVAL_S = 3600
/** Pauses from this length are not for a probe of a starting app. */
const READ_MS = 10_000

let database: TestDatabase
let sql: pg.Client
let pool: Pool
let server: Server
let attempt: number
let probes = 0
let isHealthy = false

before(async () => {
  server = createServer((_, response) => {
    probes++
    response.writeHead(isHealthy ? 200 : 503).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
beforeEach(async () => {
  await close()
  database = await testDatabase('health')
  sql = await session(database.url)
  pool = await openPool(database.urlFor('bloud_orchestrator'), 'test', 4)
  ;[probes, isHealthy] = [0, false]
  const { port } = server.address() as AddressInfo
  const healthCheck = { kind: 'http', path: '/', interval: INTERVAL_S, timeout: INTERVAL_S }
  const entry = { name: 'app', displayName: 'App', port, healthCheck, integrations: {} }
  const columns = { yaml_content: '', display_name: 'App', description: '', category: 'test', version: '1' }
  attempt = await lead(sql, [{ name: 'app', entry, port, is_system: false, unavailable: null, ...columns }])
})
after(async () => {
  await close()
  server.close()
})

async function close(): Promise<void> {
  await pool?.end()
  await sql?.end()
  await database?.drop()
}

/** Host that knows nothing of its apps, except that their processes run. */
const host = {
  unitState: async () => ({
    state: 'running',
    exitCode: null,
    restarts: 0,
    series: null,
    startedMsAgo: null,
  }),
  appLog: async () => [],
  portOwner: async () => ({ owner: 'unknown' }),
} as unknown as Host

function healthOf(): { health: Health; wakeup: Wakeup } {
  const wakeup = createWakeup()
  const log = createLogger('test', 'silent')
  const context = { pool, host, attempt, log, signal: new AbortController().signal } as Context
  return { health: createHealth(context, wakeup), wakeup }
}

async function startApp(): Promise<void> {
  await sql.query("select bloud.install('app')")
  const id = await value<string>(sql, 'select id from bloud.claim_rebuild($1, 3600)', [attempt])
  await sql.query("select bloud.begin_run($1, $2, '1')", [attempt, id])
  await sql.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, id])
}

/**
 * Calls `tick` until the number of probes is at least `count`. Returns the longest pause in ms that it has
 * requested after each number of probes.
 */
async function untilProbes(
  count: number,
  { health, wakeup }: ReturnType<typeof healthOf>,
): Promise<number[]> {
  const pauses: number[] = []
  const signal = AbortSignal.timeout(LIMIT_MS)
  while (probes < count) {
    assert.ok(!signal.aborted, `only ${probes} probes`)
    const ms = await health.tick()
    // While a probe is busy, the next call is due only to read the apps again.
    if (ms < READ_MS && probes > 0) pauses[probes - 1] = Math.max(ms, pauses[probes - 1] ?? 0)
    await wakeup.wait(ms, signal)
  }
  return pauses
}

test('an app that starts is probed at once, then after pauses that begin at 20 ms and double', async () => {
  await startApp()
  const checker = healthOf()
  const pauses = await untilProbes(7, checker)
  const limits = [20, 40, 80, 160, 320, 500]
  for (const [n, ms] of pauses.entries()) assert.ok((ms ?? 0) <= (limits[n] as number), `${pauses}`)
  assert.ok(Math.max(...pauses.filter(Boolean)) > 40, `the pauses grow: ${pauses}`)
  isHealthy = true
  await untilProbes(8, checker)
  assert.ok(await pollUntil(() => value(sql, "select status = 'running' from bloud.apps"), LIMIT_MS))
})

test('without an app that is due, the next call is due only after seconds', async () => {
  const { health } = healthOf()
  assert.ok((await health.tick()) > READ_MS)
  isHealthy = true
  await startApp()
  await rebuildAll(sql, attempt)
  await sql.query("select bloud.report_health($1, 'app', true)", [attempt])
  const checker = healthOf()
  await untilProbes(1, checker)
  const ms = (await pollUntil(checker.health.tick, LIMIT_MS)) ?? 0
  assert.ok(ms > READ_MS && ms <= 15_000, `the app is probed every hour, and read every 15 s: ${ms}`)
  assert.equal(probes, 1)
})

test('an app that was changed in the database is probed after the notification', async () => {
  const checker = healthOf()
  assert.ok((await checker.health.tick()) > READ_MS)
  await startApp()
  assert.ok((await checker.health.tick()) > READ_MS, 'not yet notified')
  checker.health.appsChanged()
  await untilProbes(1, checker)
})

test('a change that is notified during a read is read again', async () => {
  const checker = healthOf()
  await sql.query(`create table public.gate (); grant select on public.gate to public;
    create or replace function bloud.is_sweep_due() returns boolean language plpgsql stable as
      $$ begin perform from public.gate; return false; end $$`)
  const gate = await session(database.url)
  await gate.query('begin; lock table public.gate')
  const reading = checker.health.tick()
  await waitingForLock(sql)
  await startApp()
  checker.health.appsChanged()
  await gate.query('commit')
  await gate.end()
  assert.equal(await reading, 0, 'the next call is due at once')
  await untilProbes(1, checker)
})

test('the apps are read again after a read that has failed', async () => {
  const checker = healthOf()
  await checker.health.tick()
  await startApp()
  checker.health.appsChanged()
  await sql.query('alter view bloud.probed_apps rename to probed_apps_later')
  await assert.rejects(checker.health.tick())
  await sql.query('alter view bloud.probed_apps_later rename to probed_apps')
  await checker.health.tick() // the only call, because the apps are read again after 15 s in any case
  assert.ok(await pollUntil(() => probes > 0, LIMIT_MS))
})
