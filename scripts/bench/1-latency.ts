/**
 * Benchmark of the time from sending a commit to PostgreSQL until a client receives the event through the
 * relay (HTTP server and event stream). Compares this time with a database session that receives the
 * notification directly, with LISTEN.
 */
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { option } from '../option.ts'
import { settingsOf, startDatabase } from './database.ts'
import { startLoad } from './load.ts'
import { HERE, nowUs, start, stop } from './process.ts'
import { quantile, report, spread } from './report.ts'

const [rounds, transitions, gapMs] = [option('rounds', 5), option('transitions', 200), option('gap', 25)]
const [readers, writesPerSecond] = [option('readers', 500), option('writes', 100)]
const FLIP =
  "update bloud.apps set status = case status when 'running' then 'error' else 'running' end where name = $1"
const LIMIT_MS = 5000
const port = 21_000 + Math.floor(Math.random() * 5000)

const database = await startDatabase()
const admin = await database.session()
await database.makeApps(admin, 40)
const relay = start(process.execPath, [join(HERE, '../../src/main/relay.ts')], {
  ...process.env,
  DATABASE_URL: database.urlOf('bloud_relay'),
  BLOUD_PORT: String(port),
  BLOUD_LOG_LEVEL: 'error',
})
relay.stdout?.resume()

async function untilReady(): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    const { listen, stream } = answer ? await answer.json() : {}
    if (listen === 'ok' && stream === 'ok') return
    await sleep(100)
  }
  throw new Error('the relay is not ready')
}

type Way = 'notification' | 'row'
/** Times in µs at which the events of app-1 were received: through the relay, as notification, and as row. */
const received = { stream: [] as number[], notification: [] as number[], row: [] as number[] }
const bare = await database.session()
const reader = await database.session()
async function listenAll(): Promise<void> {
  bare.on('notification', () => received.notification.push(nowUs()))
  let last = Number((await reader.query('select max(seq) as seq from bloud.events')).rows[0].seq)
  reader.on('notification', async () => {
    const { rows } = await reader.query({
      name: 'after',
      text: 'select * from bloud.stream_after($1, 500)',
      values: [last],
    })
    last = Math.max(last, ...rows.map(({ seq }) => Number(seq)))
    for (const { app } of rows) if (app === 'app-1') received.row.push(nowUs())
  })
  get(`http://127.0.0.1:${port}/api/events`, (answer) => {
    let text = ''
    answer.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks)
        if (block.startsWith('event: app') && block.includes('"app":"app-1"')) received.stream.push(nowUs())
    })
  })
  await sleep(1000)
}

/**
 * Stops LISTEN in the database session that is not measured, because two listening sessions would share the
 * processor.
 */
async function listenOnlyBy(way: Way): Promise<void> {
  await (way === 'notification' ? reader : bare).query('unlisten *')
  await (way === 'notification' ? bare : reader).query('listen bloud')
}

async function measure(writer: pg.Client, way: Way) {
  await listenOnlyBy(way)
  const found = {
    stream: [] as number[],
    notification: [] as number[],
    row: [] as number[],
    commit: [] as number[],
  }
  for (let made = 0; made < transitions; made += 1) {
    await writer.query('begin')
    await writer.query(FLIP, ['app-1'])
    for (const list of Object.values(received)) list.length = 0
    const begin = nowUs()
    await writer.query('commit')
    found.commit.push((nowUs() - begin) / 1000)
    const limit = performance.now() + LIMIT_MS
    while (received.stream.length === 0 || received[way].length === 0) {
      if (performance.now() > limit) throw new Error('a transition was not received')
      await sleep(1)
    }
    for (const each of ['stream', way] as const)
      found[each].push(((received[each][0] as number) - begin) / 1000)
    await sleep(gapMs)
  }
  return found
}

type Found = Awaited<ReturnType<typeof measure>>
const roundsOf = (all: Found[], way: keyof Found) => all.filter((round) => round[way].length > 0)
const ratios = (all: Found[], way: Way, part: number) =>
  spread(roundsOf(all, way).map((round) => quantile(round.stream, part) / quantile(round[way], part)))

function rowsOf(name: string, all: Found[]) {
  return (['commit', 'notification', 'row', 'stream'] as const).map((way) => ({
    system: name,
    way: {
      commit: 'commit answered',
      notification: 'bare LISTEN',
      row: 'LISTEN, then the row',
      stream: 'through the relay',
    }[way],
    'p50, ms': spread(roundsOf(all, way).map((round) => quantile(round[way], 0.5))),
    'p99, ms': spread(roundsOf(all, way).map((round) => quantile(round[way], 0.99))),
    'relay to this, p50': way === 'notification' || way === 'row' ? ratios(all, way, 0.5) : '',
    'relay to this, p99': way === 'notification' || way === 'row' ? ratios(all, way, 0.99) : '',
  }))
}

await untilReady()
await listenAll()
const [idle, busy]: [Found[], Found[]] = [[], []]
for (let round = 0; round < rounds; round += 1)
  for (const way of ['notification', 'row'] as const) idle.push(await measure(admin, way))
const load = await startLoad(port, readers)
await load.until(({ answered }) => answered === readers, 20_000)
let stopped = false
const others = await Promise.all(Array.from({ length: 4 }, () => database.session()))
const writing = others.map(async (client, index) => {
  while (!stopped) {
    await client.query(FLIP, [`app-${index + 2}`])
    await sleep((1000 * others.length) / writesPerSecond)
  }
})
// While other sessions also commit, only `row` is measured, because a notification alone does not show which
// app changed.
for (let round = 0; round < rounds; round += 1) busy.push(await measure(admin, 'row'))
stopped = true
await Promise.all(writing)
report(
  'commit to client',
  { rounds, transitions, gapMs, readers, writesPerSecond, postgres: await settingsOf(admin) },
  [...rowsOf('idle', idle), ...rowsOf('busy', busy).filter(({ way }) => way !== 'bare LISTEN')],
  { idle, busy },
)
await load.stop()
await stop(relay)
await database.stop()
process.exit(0)
