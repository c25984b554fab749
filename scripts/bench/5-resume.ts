/** A crowd that comes back at once with the id it had: time until all have what they missed, and queries for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuOf, option, publishAt, report, SERVERS, spread, startLoad } from './kit.ts'

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
  const seen = 500
  await publishAt(server, 1000, (seen + missed) / 1000, 1)
  await sleep(500)
  const isOurs = name === 'bloud'
  const before = isOurs ? await queriesOf(server.port) : Number.NaN
  const cpu = cpuOf(server.pid)
  const load = await startLoad(server.port, clients, `e.${seen}`)
  const ms = await load.until((heard) => heard.lowest === seen + missed, LIMIT_MS)
  const heard = await load.stat()
  const after = isOurs ? await queriesOf(server.port) : Number.NaN
  const used = cpuOf(server.pid) - cpu
  await load.stop()
  await server.stop()
  const exact = ms !== undefined && heard.events === clients * missed && heard.gaps + heard.repeats === 0
  return { ms: ms ?? Number.NaN, cpu: used, clientCpu: heard.cpu, exact, queries: after - before }
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
  queries: server === 'bloud' ? spread(values.map(({ queries }) => queries)) : '(it has no database)',
}))
report('resumes at once', { clients, rounds, missed }, rows, all)
