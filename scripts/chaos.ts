/**
 * Longer variant of the test tests/stories/chaos.test.ts: `node scripts/chaos.ts [--seconds=60]`.
 *
 * 16 database sessions change statuses and 200 clients read the event stream, while the relay's database
 * sessions, the relay and PostgreSQL are killed. Prints how many events clients lost or received out of
 * order, and exits with 1 if there are any.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startProxy } from '../tests/relay/proxy.ts'
import { countLost, headOf, makeApps, startClients, startWriters } from '../tests/support/chaos.ts'
import { startDatabase } from './bench/database.ts'
import { option } from './option.ts'

const [seconds, port] = [option('seconds', 60), option('port', 26_311)]
const [WRITERS, CLIENTS, END_EVERY_MS, CATCH_UP_LIMIT_MS] = [16, 200, 100, 60_000]
const END_RELAYS = `
  select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'bloud-relay%'`

const database = await startDatabase()
const direct = new URL(database.urlOf())
const proxy = await startProxy({ host: '127.0.0.1', port: Number(direct.port) })
const through = new URL(database.urlOf('bloud_relay'))
through.port = String(proxy.port)

function startRelay() {
  const env = {
    ...process.env,
    DATABASE_URL: through.href,
    BLOUD_PORT: String(port),
    BLOUD_LOG_LEVEL: 'silent',
  }
  return spawn(process.execPath, [join(import.meta.dirname, '../src/main/relay.ts')], {
    env,
    stdio: 'ignore',
  })
}

async function asAdmin<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: direct.href })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/**
 * Terminates the relay's database sessions every 100 ms. Errors are ignored, because PostgreSQL may be
 * starting.
 */
async function endSessions(forSeconds: number): Promise<number> {
  const end = performance.now() + forSeconds * 1000
  let times = 0
  while (performance.now() < end) {
    await asAdmin((client) => client.query(END_RELAYS)).catch(() => undefined)
    times += 1
    await sleep(END_EVERY_MS)
  }
  return times
}

async function restartPostgres(): Promise<void> {
  await database.crash()
  for (let tries = 0; tries < 300; tries += 1) {
    if (await asAdmin((client) => client.query('select 1')).catch(() => undefined)) return
    await sleep(100)
  }
  throw new Error('PostgreSQL did not restart')
}

await asAdmin((client) => makeApps(client, WRITERS))
let relay = startRelay()
const clients = startClients(port, CLIENTS)
while (clients.behind(0) > 0) await sleep(100)
const writers = startWriters(direct.href, WRITERS)
const endings = await endSessions(seconds)
relay.kill('SIGKILL')
await once(relay, 'exit')
relay = startRelay()
await restartPostgres()
await asAdmin(async (client) => {
  for (let sent = 0; sent < 100; sent += 1) await client.query("notify bloud, '999999999'")
})
proxy.setMode('dropping')
await sleep(20_000)
proxy.muteOpenConnections()
await sleep(5000)
await writers.stop()
const head = await asAdmin(headOf)
const deadline = performance.now() + CATCH_UP_LIMIT_MS
while (clients.behind(head) > 0 && performance.now() < deadline) await sleep(100)
const behind = clients.behind(head)
const { reordered, resets, connects, lost: skipped, gaps } = clients.tally
const lost = await asAdmin((client) => countLost(client, clients.tally))
const counts = { lost, reordered, resets, connects, skipped, gaps: Object.fromEntries(gaps) }
console.log(JSON.stringify({ seconds, endings, transitions: writers.transitions(), head, behind, ...counts }))
process.exitCode = behind + lost + reordered > 0 ? 1 : 0
clients.stop()
relay.kill('SIGKILL')
await proxy.stop()
await database.stop()
process.exit()
