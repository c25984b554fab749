/** Benchmark of the memory that a server needs per connection without events. */
import { setTimeout as sleep } from 'node:timers/promises'
import { option } from '../option.ts'
import { startLoad } from './load.ts'
import { SERVERS } from './peer.ts'
import { rssOf } from './process.ts'
import { report, spread } from './report.ts'

const [clients, rounds] = [option('clients', 10_000), option('rounds', 3)]
const SETTLE_MS = 2000
const all: Record<string, number[]> = {}

async function measure(name: string): Promise<number> {
  const server = await (SERVERS[name] as (typeof SERVERS)[string])()
  server.publish(1, 0)
  // The first 100 clients are not measured, because a server allocates some memory only once, for its first
  // clients.
  const warm = await startLoad(server.port, 100)
  await warm.until(({ answered }) => answered === 100, 10_000)
  await sleep(SETTLE_MS)
  const before = rssOf(server.pid)
  const load = await startLoad(server.port, clients)
  const took = await load.until(({ answered }) => answered === clients, 60_000)
  await sleep(SETTLE_MS)
  const grown = rssOf(server.pid) - before
  await Promise.all([warm.stop(), load.stop()])
  await server.stop()
  if (took === undefined) throw new Error(`${name}: not all clients connected`)
  return grown / clients
}

for (let round = 0; round < rounds; round += 1) {
  for (const name of ['bloud', 'nchan', 'node:http']) {
    all[name] ??= []
    all[name].push(await measure(name))
  }
}
const rows = Object.entries(all).map(([server, values]) => ({
  server,
  'bytes per connection': spread(values),
}))
report('idle memory', { clients, rounds }, rows, all)
