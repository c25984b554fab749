/**
 * Everything goes wrong at once, with 16 writers and 200 clients that resume: nothing is lost, nothing comes out of
 * order. `scripts/chaos.ts` does the same for longer and restarts PostgreSQL as well.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from '../../src/config.ts'
import { startProxy } from '../relay/proxy.ts'
import { startAgent } from '../support/agent.ts'
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

/** Every so often the relay's sessions are ended. */
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

test('whatever is killed, cut, swallowed or forged, every client sees every move once and in order', async (t) => {
  const { database, admin } = await begin(t)
  const url = new URL(database.urlFor('bloud_relay'))
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port) })
  t.after(proxy.stop)
  url.port = String(proxy.port)
  const port = await freePort()
  const env = settings({ DATABASE_URL: url.href, BLOUD_PORT: String(port) })
  const startRelay = async () => {
    const agent = startAgent(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
    await agent.says(/"listening"/)
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
  assert.ok(writers.moves() > 500, `only ${writers.moves()} moves`)
  assert.deepEqual({ lost, reordered, resets }, { lost: 0, reordered: 0, resets: 0 })
})

test('the same eyes see a naive relay lose events', async (t) => {
  const { database, admin } = await begin(t)
  const naive = await startNaiveRelay(database.superuserUrl)
  t.after(naive.stop)
  const clients = startClients(naive.port, 20)
  t.after(clients.stop)
  await sleep(200)
  const writers = startWriters(database.superuserUrl, WRITERS)
  await endSessions(admin, 10, 100)
  await writers.stop()
  assert.ok(clients.tally.lost > 0, 'it loses some')
})

test('clients whose events were pruned while they were away are told so', async (t) => {
  const { database, admin } = await begin(t)
  const port = await freePort()
  const env = settings({ DATABASE_URL: database.urlFor('bloud_relay'), BLOUD_PORT: String(port) })
  const agent = startAgent(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
  t.after(() => agent.end('SIGKILL'))
  await agent.says(/"listening"/)
  const clients = startClients(port, 20)
  t.after(clients.stop)
  const head = await headOf(admin)
  await untilCaughtUp(clients, head)
  await agent.end('SIGKILL')
  for (let one = 0; one < 5; one += 1) {
    await admin.query(
      "update bloud.apps set status = case status when 'running' then 'error' else 'running' end",
    )
  }
  await admin.query("begin; set local bloud.pruning = 'on'")
  await admin.query('delete from bloud.events where seq <= $1', [head + 10])
  await admin.query('update bloud.stream set pruned_to = $1', [head + 10])
  await admin.query('commit')
  const next = startAgent(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
  t.after(() => next.end('SIGKILL'))
  await next.says(/"listening"/)
  await untilCaughtUp(clients, await headOf(admin))
  assert.deepEqual([clients.tally.resets, clients.tally.lost, clients.tally.reordered], [20, 0, 0])
})
