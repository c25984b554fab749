/** From sending a commit to hearing of it: through the relay, against a bare LISTEN, idle and while others write. */
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { settingsOf, startDatabase } from './database.ts'
import { HERE, nowUs, option, quantile, report, spread, start, startLoad, stop } from './kit.ts'

const [rounds, moves, gapMs] = [option('rounds', 5), option('moves', 200), option('gap', 25)]
const [readers, writesPerSecond] = [option('readers', 500), option('writes', 100)]
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
    if (answer?.ok) return
    await sleep(100)
  }
  throw new Error('the relay is not ready')
}

type Way = 'bell' | 'row'
/** When each of app-1's moves was heard of, by who listens how. */
const heard = { stream: [] as number[], bell: [] as number[], row: [] as number[] }
const bare = await database.session()
const reader = await database.session()
async function listenAll(): Promise<void> {
  bare.on('notification', () => heard.bell.push(nowUs()))
  let last = Number((await reader.query('select max(seq) as seq from bloud.events')).rows[0].seq)
  reader.on('notification', async () => {
    const { rows } = await reader.query({
      name: 'after',
      text: 'select * from bloud.stream_after($1, 500)',
      values: [last],
    })
    last = Math.max(last, ...rows.map(({ seq }) => Number(seq)))
    for (const { app } of rows) if (app === 'app-1') heard.row.push(nowUs())
  })
  get(`http://127.0.0.1:${port}/api/events`, (answer) => {
    let text = ''
    answer.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const one of blocks)
        if (one.startsWith('event: app') && one.includes('"app":"app-1"')) heard.stream.push(nowUs())
    })
  })
  await sleep(1000)
}

/** Only one listens beside the relay: two that wake at the same bell would take the cores from what is measured. */
async function only(way: Way): Promise<void> {
  await (way === 'bell' ? reader : bare).query('unlisten *')
  await (way === 'bell' ? bare : reader).query('listen bloud')
}

/** One move at a time. @returns milliseconds from the commit's sending, through the relay and in one other way. */
async function measure(writer: pg.Client, way: Way) {
  await only(way)
  const found = { stream: [] as number[], bell: [] as number[], row: [] as number[], commit: [] as number[] }
  for (let move = 0; move < moves; move += 1) {
    await writer.query('begin')
    await writer.query(
      "update bloud.apps set status = case status when 'running' then 'error' else 'running' end where name = 'app-1'",
    )
    for (const list of Object.values(heard)) list.length = 0
    const begin = nowUs()
    await writer.query('commit')
    found.commit.push((nowUs() - begin) / 1000)
    const limit = performance.now() + LIMIT_MS
    while (heard.stream.length === 0 || heard[way].length === 0) {
      if (performance.now() > limit) throw new Error('a move was not heard of')
      await sleep(1)
    }
    for (const each of ['stream', way] as const) found[each].push(((heard[each][0] as number) - begin) / 1000)
    await sleep(gapMs)
  }
  return found
}

type Found = Awaited<ReturnType<typeof measure>>
/** The rounds in which somebody listened this way. */
const heardBy = (all: Found[], way: keyof Found) => all.filter((one) => one[way].length > 0)
const ratios = (all: Found[], of: Way, part: number) =>
  spread(heardBy(all, of).map((one) => quantile(one.stream, part) / quantile(one[of], part)))

function rowsOf(name: string, all: Found[]) {
  return (['commit', 'bell', 'row', 'stream'] as const).map((way) => ({
    system: name,
    way: {
      commit: 'commit answered',
      bell: 'bare LISTEN',
      row: 'LISTEN, then the row',
      stream: 'through the relay',
    }[way],
    'p50, ms': spread(heardBy(all, way).map((one) => quantile(one[way], 0.5))),
    'p99, ms': spread(heardBy(all, way).map((one) => quantile(one[way], 0.99))),
    'relay to this, p50': way === 'bell' || way === 'row' ? ratios(all, way, 0.5) : '',
    'relay to this, p99': way === 'bell' || way === 'row' ? ratios(all, way, 0.99) : '',
  }))
}

await untilReady()
await listenAll()
const [idle, busy]: [Found[], Found[]] = [[], []]
for (let round = 0; round < rounds; round += 1)
  for (const way of ['bell', 'row'] as const) idle.push(await measure(admin, way))
const load = await startLoad(port, readers)
await load.until(({ heard: count }) => count === readers, 20_000)
let stopped = false
const others = await Promise.all(Array.from({ length: 4 }, () => database.session()))
const writing = others.map(async (client, index) => {
  while (!stopped) {
    await client.query(
      `update bloud.apps set status = case status when 'running' then 'error' else 'running' end where name = 'app-${index + 2}'`,
    )
    await sleep((1000 * others.length) / writesPerSecond)
  }
})
// The bare listener cannot tell whose bell it is, so under load it is the row that is compared.
for (let round = 0; round < rounds; round += 1) busy.push(await measure(admin, 'row'))
stopped = true
await Promise.all(writing)
report(
  'commit to client',
  { rounds, moves, gapMs, readers, writesPerSecond, postgres: await settingsOf(admin) },
  [...rowsOf('idle', idle), ...rowsOf('busy', busy).filter(({ way }) => way !== 'bare LISTEN')],
  { idle, busy },
)
await load.stop()
await stop(relay)
await database.stop()
process.exit(0)
