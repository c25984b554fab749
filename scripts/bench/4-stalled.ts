/**
 * Every fifth reader stops reading: what the others feel, what the server keeps, and what the stopped ones end with.
 * Events are large and the sockets of the stopped small, so that these fill up well within the time (the kernel takes
 * up to 4 MB for each, here 5 s of events); what the servers keep of the history is filled before, and is about as much
 * for all, so that what grows is what the stopped cost. 12 s: our relay closes who takes nothing for 15 s.
 */
import { setTimeout as sleep } from 'node:timers/promises'

process.env.BENCH_PAD ??= '8000'
process.env.BENCH_KEPT ??= '2000'
const { nowUs, option, publishAt, report, rssOf, SERVERS, spread, startLoad } = await import('./kit.ts')

const [clients, rounds, seconds] = [option('clients', 400), option('rounds', 3), option('seconds', 12)]
/** One that all servers reach without stalled readers. */
const rate = option('rate', 100)
const eventBytes = Number(process.env.BENCH_PAD ?? 200)
const stalled = clients / 5
const SMALL_BUFFER = { LOAD_RCVBUF: '16384' }
/** More than any of them keeps. */
const PAST = 2500
const CATCH_UP_LIMIT_MS = 15_000

interface Outcome {
  p50: number
  p99: number
  max: number
  grownMB: number
  exact: boolean
  closed: number
}

async function measure(name: string): Promise<Outcome> {
  const server = await (SERVERS[name] as (typeof SERVERS)[string])()
  for (let seq = 1; seq <= PAST; seq += 1) server.publish(seq, nowUs())
  await sleep(2000)
  const healthy = await startLoad(server.port, clients - stalled)
  const stuck = await startLoad(server.port, stalled, '-', '/api/events', SMALL_BUFFER)
  await healthy.until((heard) => heard.heard === clients - stalled, 20_000)
  await stuck.until((heard) => heard.heard === stalled, 20_000)
  const from = await publishAt(server, rate, 2, PAST + 1)
  await sleep(500)
  const rss = rssOf(server.pid)
  stuck.tell(`stall ${stalled}`)
  healthy.tell('reset')
  const next = await publishAt(server, rate, seconds, from)
  await healthy.until((heard) => heard.lowest === next - 1, 10_000)
  const { p50, p99, max } = await healthy.stat()
  const grownMB = (rssOf(server.pid) - rss) / 2 ** 20
  stuck.tell('resume')
  await stuck.until((heard) => heard.lowest === next - 1, CATCH_UP_LIMIT_MS)
  const end = await stuck.stat()
  await Promise.all([healthy.stop(), stuck.stop()])
  await server.stop()
  const exact = end.lowest === next - 1 && end.gaps + end.repeats + end.closed === 0
  return { p50, p99, max, grownMB, exact, closed: end.closed }
}

const all: Record<string, Outcome[]> = {}
for (let round = 0; round < rounds; round += 1) {
  for (const name of ['bloud', 'nchan', 'node:http 10 ms']) {
    all[name] ??= []
    all[name].push(await measure(name))
  }
}
const rows = Object.entries(all).map(([server, values]) => ({
  server,
  'healthy p50, ms': spread(values.map(({ p50 }) => p50)),
  'healthy p99, ms': spread(values.map(({ p99 }) => p99)),
  'memory grown, MB': spread(values.map(({ grownMB }) => grownMB)),
  'stalled end exact': values.every(({ exact }) => exact) ? 'all' : 'NO',
}))
report('a fifth of the readers stalled', { clients, rounds, seconds, rate, eventBytes }, rows, all)
