/**
 * Benchmark with every fifth client stalled (the client does not read from its connection). Measures the
 * latency of the other clients, the memory of the server, and whether the stalled clients later receive every
 * event.
 *
 * The events are large and the receive buffers of the stalled clients are small, because otherwise the kernel
 * could buffer all events and the server would never wait for a client.
 *
 * Clients stall for 12 s, because the relay closes a connection from which the client reads nothing for 15 s.
 */
import { setTimeout as sleep } from 'node:timers/promises'

process.env.BENCH_PAD ??= '8000'
process.env.BENCH_KEPT ??= '2000'
const { publishAt, SERVERS } = await import('./peer.ts')
const { startLoad } = await import('./load.ts')
const { nowUs, rssOf } = await import('./process.ts')
const { report, spread } = await import('./report.ts')
const { option } = await import('../option.ts')

const [clients, rounds, seconds] = [option('clients', 400), option('rounds', 3), option('seconds', 12)]
/** Events per second. The rate is so low that every measured server can deliver the events in time. */
const rate = option('rate', 100)
const eventBytes = Number(process.env.BENCH_PAD ?? 200)
const stalled = clients / 5
const SMALL_BUFFER = { LOAD_RCVBUF: '16384' }
/**
 * Number of events published before clients stall. They fill the servers' buffers of recent events, because
 * otherwise the growth of these buffers would count as memory needed for stalled clients.
 */
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
  const stalledLoad = await startLoad(server.port, stalled, '-', '/api/events', SMALL_BUFFER)
  await healthy.until(({ answered }) => answered === clients - stalled, 20_000)
  await stalledLoad.until(({ answered }) => answered === stalled, 20_000)
  const from = await publishAt(server, rate, 2, PAST + 1)
  await sleep(500)
  const rss = rssOf(server.pid)
  stalledLoad.send(`stall ${stalled}`)
  healthy.send('reset')
  const next = await publishAt(server, rate, seconds, from)
  await healthy.until(({ lowest }) => lowest === next - 1, 10_000)
  const { p50, p99, max } = await healthy.stat()
  const grownMB = (rssOf(server.pid) - rss) / 2 ** 20
  stalledLoad.send('resume')
  await stalledLoad.until(({ lowest }) => lowest === next - 1, CATCH_UP_LIMIT_MS)
  const end = await stalledLoad.stat()
  await Promise.all([healthy.stop(), stalledLoad.stop()])
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
report('a fifth of the clients stalled', { clients, rounds, seconds, rate, eventBytes }, rows, all)
