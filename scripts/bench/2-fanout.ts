/**
 * Benchmark: finds the highest rate of events that a server delivers to a thousand clients within 100 ms, and
 * the processor time per delivered event. Servers get their events from this process. In the row "bloud with
 * PostgreSQL", database sessions write them.
 */

import { option } from '../option.ts'
import { startEndToEnd } from './endtoend.ts'
import { LIMIT_MS, ladder, reasonOf, type Step, type Target, topOf } from './ladder.ts'
import { publishAt, SERVERS, type Server } from './peer.ts'
import { report, spread } from './report.ts'

const [clients, rounds, seconds] = [option('clients', 1000), option('rounds', 2), option('seconds', 1.5)]
const writers = option('writers', 16)
const END_TO_END = 'bloud with PostgreSQL'
const COMPARED_RATES = [100, 400, 1600]
/** Servers to measure, from the option `--only=bloud,nchan`. Undefined means all servers. */
const only = process.argv
  .find((arg) => arg.startsWith('--only='))
  ?.slice(7)
  .split(',')

const targetOf = (server: Server): Target => ({
  port: server.port,
  pid: server.pid,
  first: 1,
  publish: (rate, wanted, from) => publishAt(server, rate, wanted, from),
  stop: () => server.stop(),
})
const targets: Record<string, () => Promise<Target>> = {
  ...Object.fromEntries(
    Object.entries(SERVERS).map(([name, make]) => [name, async () => targetOf(await make())]),
  ),
  [END_TO_END]: () => startEndToEnd(writers),
}

const all: Record<string, Step[][]> = {}
for (let round = 0; round < rounds; round += 1) {
  for (const [name, make] of Object.entries(targets)) {
    if (only && !only.includes(name)) continue
    all[name] ??= []
    all[name].push(await ladder(await make(), clients, seconds))
  }
}

/** Returns the columns of processor time per delivery at COMPARED_RATES. */
function costsOf(ladders: Step[][]): Record<string, string> {
  const columns = COMPARED_RATES.flatMap((at) => {
    const steps = ladders.flatMap((each) => each.filter(({ rate }) => rate === at))
    return [
      [`CPU µs per delivery at ${at}/s`, spread(steps.map(({ serverCpuUs }) => serverCpuUs))],
      [`${at}/s without the kernel's`, spread(steps.map(({ serverUserUs }) => serverUserUs))],
    ]
  })
  return Object.fromEntries(columns)
}

const rows = Object.entries(all).map(([server, ladders]) => {
  const exact = ladders.flat().filter((step) => step.exact)
  const last = ladders.flatMap((steps) => steps.at(-1) ?? [])
  return {
    server,
    'events/s in time': spread(ladders.map((steps) => topOf(steps)?.rate ?? 0)),
    'p99 there, ms': spread(ladders.flatMap((steps) => topOf(steps)?.p99 ?? [])),
    'every id once, in order': `${exact.length} of ${ladders.flat().length} steps`,
    ...costsOf(ladders),
    'limit was the client': last.some(({ clientBusy }) => clientBusy > 0.85) ? 'perhaps' : 'no',
  }
})
for (const [server, ladders] of Object.entries(all))
  for (const steps of ladders) console.log(`${server} falls short at ${reasonOf(steps)}`)
report('fan-out ladder', { clients, rounds, seconds, writers, limitMs: LIMIT_MS }, rows, all)
