/**
 * The whole way of an event: database sessions change the status of apps, PostgreSQL commits and notifies,
 * and the relay (HTTP server and event stream) delivers to the clients. All run on the same processor cores.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { startDatabase } from './database.ts'
import type { Target } from './ladder.ts'
import { HERE, start, stop } from './process.ts'

const FLIP =
  "update bloud.apps set status = case status when 'running' then 'error' else 'running' end where name = $1"
const READY_LIMIT_MS = 20_000
const READY_POLL_MS = 100

async function startRelay(databaseUrl: string) {
  const port = 21_000 + Math.floor(Math.random() * 5000)
  const settings = { DATABASE_URL: databaseUrl, BLOUD_PORT: String(port), BLOUD_LOG_LEVEL: 'error' }
  const child = start(process.execPath, [join(HERE, '../../src/main/relay.ts')], {
    ...process.env,
    ...settings,
  })
  child.stdout?.resume()
  for (const end = performance.now() + READY_LIMIT_MS; performance.now() < end; await sleep(READY_POLL_MS)) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    const { listen, stream } = answer ? await answer.json() : {}
    if (listen === 'ok' && stream === 'ok') return { child, port }
  }
  throw new Error('the relay is not ready')
}

/**
 * Commits transitions at a rate. Each session changes an app of its own, and takes the next transition when
 * it is due.
 * @returns the number of transitions.
 */
async function write(sessions: pg.Client[], rate: number, seconds: number): Promise<number> {
  const [begin, total] = [performance.now(), Math.round(rate * seconds)]
  let taken = 0
  async function work(session: pg.Client, index: number): Promise<void> {
    while (taken < total) {
      const due = begin + (taken * 1000) / rate
      taken += 1
      if (due > performance.now()) await sleep(due - performance.now())
      await session.query({ name: 'flip', text: FLIP, values: [`app-${index + 1}`] })
    }
  }
  await Promise.all(sessions.map(work))
  return total
}

/** Starts PostgreSQL, a relay, and sessions that write. */
export async function startEndToEnd(writers: number): Promise<Target> {
  const database = await startDatabase()
  const admin = await database.session()
  await database.makeApps(admin, writers)
  const sessions = await Promise.all(Array.from({ length: writers }, () => database.session()))
  const { child, port } = await startRelay(database.urlOf('bloud_relay'))
  /** Returns how many events follow the event `seq`, and the number of the newest one. */
  async function eventsAfter(seq: number): Promise<{ count: number; last: number }> {
    const text = 'select count(*)::int as count, max(seq)::int as last from bloud.events where seq > $1'
    return (await admin.query(text, [seq])).rows[0]
  }
  return {
    port,
    pid: child.pid as number,
    first: (await eventsAfter(0)).last + 1,
    async publish(rate, seconds, from) {
      const total = await write(sessions, rate, seconds)
      const { count, last } = await eventsAfter(from - 1)
      if (count !== total || last !== from + total - 1)
        throw new Error(`${total} transitions made ${count} events, up to ${last} from ${from}`)
      return from + total
    },
    async stop() {
      await stop(child)
      for (const session of [...sessions, admin]) await session.end()
      await database.stop()
    },
  }
}
