/**
 * Benchmark: connects many clients at once, each with the id of an event that is not the newest. Measures the
 * time until all clients have received the events after this id.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { option } from '../option.ts'
import { startLoad } from './load.ts'
import { publishAt, SERVERS } from './peer.ts'
import { cpuOf } from './process.ts'
import { report, spread } from './report.ts'

const [clients, rounds, missed] = [option('clients', 10_000), option('rounds', 3), option('missed', 100)]
const LIMIT_MS = 60_000

interface Outcome {
  ms: number
  cpu: number
  clientCpu: number
  exact: boolean
  queries: number
}

const queriesOf = async (port: number) =>
  Number(await (await fetch(`http://127.0.0.1:${port}/queries`)).text())

async function measure(name: string): Promise<Outcome> {
  const server = await (SERVERS[name] as (typeof SERVERS)[string])()
  /** The clients connect with the id of this event, as if it were the last event that they had received. */
  const last = 500
  await publishAt(server, 1000, (last + missed) / 1000, 1)
  await sleep(500)
  const hasDatabase = name === 'bloud'
  const before = hasDatabase ? await queriesOf(server.port) : Number.NaN
  const cpu = cpuOf(server.pid)
  const load = await startLoad(server.port, clients, `e.${last}`)
  const ms = await load.until(({ lowest }) => lowest === last + missed, LIMIT_MS)
  const stats = await load.stat()
  const after = hasDatabase ? await queriesOf(server.port) : Number.NaN
  const used = cpuOf(server.pid) - cpu
  await load.stop()
  await server.stop()
  const exact = ms !== undefined && stats.events === clients * missed && stats.gaps + stats.repeats === 0
  return { ms: ms ?? Number.NaN, cpu: used, clientCpu: stats.cpu, exact, queries: after - before }
}

const all: Record<string, Outcome[]> = {}
for (let round = 0; round < rounds; round += 1) {
  for (const name of ['bloud', 'node:http']) {
    all[name] ??= []
    all[name].push(await measure(name))
  }
}
const rows = Object.entries(all).map(([server, values]) => ({
  server,
  'ms until all are caught up': spread(values.map(({ ms }) => ms)),
  'CPU s of the server': spread(values.map(({ cpu }) => cpu)),
  'CPU s of the clients': spread(values.map(({ clientCpu }) => clientCpu)),
  exact: values.every(({ exact }) => exact) ? 'all' : 'NO',
  queries: server === 'bloud' ? spread(values.map(({ queries }) => queries)) : '(no database)',
}))
report('resumes at once', { clients, rounds, missed }, rows, all)
