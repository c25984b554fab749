/**
 * Tests that no client of the event stream loses an event or receives events out of order while the relay
 * (HTTP server and event stream), its database sessions and the network fail. Longer variant:
 * scripts/chaos.ts.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from '../../src/config.ts'
import { startProxy } from '../relay/proxy.ts'
import { startProcess } from '../support/agent.ts'
import { headOf, makeApps, startClients, startWriters } from '../support/chaos.ts'
import { testDatabase } from '../support/cluster.ts'
import { startNaiveRelay } from '../support/naive-relay.ts'
import { settings } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { session } from '../support/sql.ts'

type T = { after(fn: () => unknown): void }

const [WRITERS, CLIENTS] = [16, 200]
const CATCH_UP_LIMIT_MS = 60_000
const END_RELAYS = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name like 'bloud-relay%'`

async function begin(t: T) {
  const database = await testDatabase('chaos')
  const admin = await session(database.superuserUrl)
  await makeApps(admin, WRITERS)
  t.after(async () => {
    await admin.end()
    await database.drop()
  })
  return { database, admin }
}

async function endSessions(admin: Awaited<ReturnType<typeof session>>, times: number, everyMs: number) {
  for (let time = 0; time < times; time += 1) {
    await admin.query(END_RELAYS)
    await sleep(everyMs)
  }
}

async function untilCaughtUp(clients: ReturnType<typeof startClients>, head: number): Promise<void> {
  const deadline = performance.now() + CATCH_UP_LIMIT_MS
  while (clients.behind(head) > 0) {
    assert.ok(performance.now() < deadline, `${clients.behind(head)} clients are still behind ${head}`)
    await sleep(50)
  }
}

test('every client receives every event once and in order, despite kills, cuts, lost and forged notifications', async (t) => {
  const { database, admin } = await begin(t)
  const url = new URL(database.urlFor('bloud_relay'))
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port) })
  t.after(proxy.stop)
  url.port = String(proxy.port)
  const port = await freePort()
  const env = settings({ DATABASE_URL: url.href, BLOUD_PORT: String(port) })
  const startRelay = async () => {
    const agent = startProcess(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
    await agent.waitFor(/"listening"/)
    return agent
  }
  let relay = await startRelay()
  t.after(() => relay.end('SIGKILL'))
  const clients = startClients(port, CLIENTS)
  t.after(clients.stop)
  await untilCaughtUp(clients, await headOf(admin))
  const writers = startWriters(database.superuserUrl, WRITERS)
  await endSessions(admin, 20, 100)
  await relay.end('SIGKILL')
  clients.cutSome()
  relay = await startRelay()
  for (let forged = 0; forged < 50; forged += 1) await admin.query('notify bloud, \'{"seq": 999999999}\'')
  proxy.setMode('dropping')
  await sleep(500)
  proxy.cut()
  proxy.setMode('open')
  clients.cutSome()
  await sleep(500)
  await writers.stop()
  await untilCaughtUp(clients, await headOf(admin))
  const { lost, reordered, resets } = clients.tally
  assert.ok(writers.transitions() > 500, `only ${writers.transitions()} transitions`)
  assert.deepEqual({ lost, reordered, resets }, { lost: 0, reordered: 0, resets: 0 })
})

test('the check of the test above finds lost events with a naive relay', async (t) => {
  const { database, admin } = await begin(t)
  const naive = await startNaiveRelay(database.superuserUrl)
  t.after(naive.stop)
  const clients = startClients(naive.port, 20)
  t.after(clients.stop)
  await sleep(200)
  const writers = startWriters(database.superuserUrl, WRITERS)
  await endSessions(admin, 10, 100)
  await writers.stop()
  assert.ok(clients.tally.lost > 0, 'no event was lost')
})

test('clients receive a reset if their events were pruned while they were disconnected', async (t) => {
  const { database, admin } = await begin(t)
  const port = await freePort()
  const env = settings({ DATABASE_URL: database.urlFor('bloud_relay'), BLOUD_PORT: String(port) })
  const agent = startProcess(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
  t.after(() => agent.end('SIGKILL'))
  await agent.waitFor(/"listening"/)
  const clients = startClients(port, 20)
  t.after(clients.stop)
  const head = await headOf(admin)
  await untilCaughtUp(clients, head)
  await agent.end('SIGKILL')
  for (let round = 0; round < 5; round += 1) {
    await admin.query(
      "update bloud.apps set status = case status when 'running' then 'error' else 'running' end",
    )
  }
  await admin.query("begin; set local bloud.pruning = 'on'")
  await admin.query('delete from bloud.events where seq <= $1', [head + 10])
  await admin.query('update bloud.stream set pruned_to = $1', [head + 10])
  await admin.query('commit')
  const next = startProcess(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
  t.after(() => next.end('SIGKILL'))
  await next.waitFor(/"listening"/)
  await untilCaughtUp(clients, await headOf(admin))
  assert.deepEqual([clients.tally.resets, clients.tally.lost, clients.tally.reordered], [20, 0, 0])
})
