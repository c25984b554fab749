/**
 * Benchmark: finds the highest rate of events that a server delivers to a thousand clients within 100 ms, and
 * the processor time per delivered event.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from './load.ts'
import { publishAt, SERVERS, type Server } from './peer.ts'
import { timesOf } from './process.ts'
import { option, report, spread } from './report.ts'

const [clients, rounds, seconds] = [option('clients', 1000), option('rounds', 2), option('seconds', 1.5)]
const RATES = [25, 50, 100, 200, 400, 800, 1600, 3200]
const COMPARED_RATES = [100, 400, 1600]
/** Upper limit of the latency in ms. A step fails if more than 1 % of its events exceed it. */
const LIMIT_MS = 100
/** Servers to measure, from the option `--only=bloud,nchan`. Undefined means all servers. */
const only = process.argv
  .find((arg) => arg.startsWith('--only='))
  ?.slice(7)
  .split(',')
const DRAIN_LIMIT_MS = 5000

interface Step {
  rate: number
  p50: number
  p99: number
  max: number
  contiguous: boolean
  /** Processor time of the server per delivered event, in µs. */
  serverCpuUs: number
  /** Processor time of the server per delivered event without the time spent in the kernel, in µs. */
  serverUserUs: number
  /**
   * Processor time of the load client (load.c) divided by the elapsed time. Near 1, the load client is busy
   * all the time, so the result shows the speed of the client and not of the server.
   */
  clientBusy: number
}

async function step(server: Server, load: Awaited<ReturnType<typeof startLoad>>, rate: number, from: number) {
  load.send('reset')
  const before = await load.stat()
  const [cpu, begin] = [timesOf(server.pid), performance.now()]
  const next = await publishAt(server, rate, seconds, from)
  const drained = await load.until(({ lowest }) => lowest === next - 1, DRAIN_LIMIT_MS)
  const after = await load.stat()
  const used = timesOf(server.pid)
  const perDelivery = (seconds: number) => (seconds * 1e6) / Math.max(1, after.events)
  const result: Step = {
    rate,
    p50: after.p50,
    p99: after.p99,
    max: after.max,
    contiguous: drained !== undefined && after.gaps + after.repeats + after.closed === 0,
    serverCpuUs: perDelivery(used.all - cpu.all),
    serverUserUs: perDelivery(used.user - cpu.user),
    clientBusy: (after.cpu - before.cpu) / ((performance.now() - begin) / 1000),
  }
  return { result, next }
}

/** Measures a server at each rate, from low to high. Ends when the same rate has failed three times. */
async function ladder(make: () => Promise<Server>): Promise<Step[]> {
  const server = await make()
  const load = await startLoad(server.port, clients)
  const steps: Step[] = []
  try {
    await load.until(({ answered }) => answered === clients, 20_000)
    let from = await publishAt(server, 50, 1, 1) // warm-up
    await sleep(300)
    let failures = 0
    // A failed rate is tried again up to two times, because other programs on the machine may have caused the
    // failure.
    for (let at = 0; at < RATES.length && failures < 3; ) {
      const { result, next } = await step(server, load, RATES[at] as number, from)
      from = next
      steps.push(result)
      failures = result.contiguous && result.p99 <= LIMIT_MS ? 0 : failures + 1
      if (failures === 0) at += 1
    }
  } finally {
    await load.stop()
    await server.stop()
  }
  return steps
}

const all: Record<string, Step[][]> = {}
for (let round = 0; round < rounds; round += 1) {
  for (const [name, make] of Object.entries(SERVERS)) {
    if (only && !only.includes(name)) continue
    all[name] ??= []
    all[name].push(await ladder(make))
  }
}
const passed = (steps: Step[]) => steps.filter(({ contiguous, p99 }) => contiguous && p99 <= LIMIT_MS)
const rows = Object.entries(all).map(([server, ladders]) => {
  const best = ladders.map((steps) => passed(steps).at(-1)?.rate ?? 0)
  const costs = COMPARED_RATES.map((at) => {
    const steps = ladders.flatMap((each) => each.filter(({ rate }) => rate === at))
    return [
      [`CPU µs per delivery at ${at}/s`, spread(steps.map(({ serverCpuUs }) => serverCpuUs))],
      [`without the kernel's`, spread(steps.map(({ serverUserUs }) => serverUserUs))],
    ].map(([name, value], index) => [index ? `${at}/s ${name}` : name, value])
  })
  const top = ladders.flatMap((steps) => steps.at(-1) ?? [])
  return {
    server,
    'events/s in time': spread(best),
    'p99 there, ms': spread(ladders.flatMap((steps) => passed(steps).at(-1)?.p99 ?? [])),
    ...Object.fromEntries(costs.flat()),
    'limit was the client': top.some(({ clientBusy }) => clientBusy > 0.85) ? 'perhaps' : 'no',
  }
})
report('fan-out ladder', { clients, rounds, seconds, limitMs: LIMIT_MS }, rows, all)
