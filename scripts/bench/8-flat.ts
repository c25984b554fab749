/**
 * Benchmark of the memory and the number of file descriptors of the relay while a million events are
 * published and clients connect and disconnect. Both numbers should stay constant.
 */
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { option } from '../option.ts'
import { startLoad } from './load.ts'
import { SERVERS } from './peer.ts'
import { nowUs, rssOf } from './process.ts'
import { report } from './report.ts'

const [events, steps, clients] = [option('events', 1_000_000), option('steps', 20), option('clients', 100)]
const LIMIT_MS = 30_000
const BURST = 1000

const server = await (SERVERS.bloud as (typeof SERVERS)[string])()
const permanent = await startLoad(server.port, clients)
await permanent.until(({ answered }) => answered === clients, LIMIT_MS)
const samples: { events: number; rssMB: number; descriptors: number }[] = []
let seq = 0
for (let step = 1; step <= steps; step += 1) {
  const temporary = await startLoad(server.port, clients)
  await temporary.until(({ answered }) => answered === clients, LIMIT_MS)
  while (seq < (events * step) / steps) {
    for (let sent = 0; sent < BURST; sent += 1) {
      seq += 1
      server.publish(seq, nowUs())
    }
    const took = await permanent.until(({ lowest }) => lowest === seq, LIMIT_MS)
    if (took === undefined) throw new Error(`not all clients have event ${seq}`)
  }
  await temporary.stop()
  await sleep(300)
  const descriptors = readdirSync(`/proc/${server.pid}/fd`).length
  samples.push({ events: seq, rssMB: rssOf(server.pid) / 2 ** 20, descriptors })
}
const { gaps, repeats, closed } = await permanent.stat()
await permanent.stop()
await server.stop()
const rows = samples.map((sample) => ({
  events: String(sample.events),
  'RSS, MB': sample.rssMB.toFixed(1),
  descriptors: String(sample.descriptors),
}))
report('flat', { events, steps, clients, gaps, repeats, closed }, rows, samples)
