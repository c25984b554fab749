/** Finds the highest rate of events that a system delivers to all clients in time. */
import { startLoad } from './load.ts'
import { rssOf, timesOf } from './process.ts'

/** Rates in events/s, each about 1.25 times the one before (the series R10 of ISO 3). */
const RATES = [
  25, 32, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500,
  3150, 4000, 5000, 6300, 8000, 10_000, 12_500, 16_000, 20_000, 25_000,
]
const WARM_UP_RATE = 50
/** Upper limit of the latency in ms. A step fails if more than 1 % of its events exceed it. */
export const LIMIT_MS = 100
/** Lowest part of the rate that has to be published in time. A step fails if writers are slower. */
const LEAST_PUBLISHED = 0.95
const CONNECT_LIMIT_MS = 20_000
const DRAIN_LIMIT_MS = 5000
/**
 * Tries of a rate, and failed rates in a row that end the ladder. Both are more than one, because other
 * programs on the machine may cause a failure.
 */
const TRIES = 3
const FAILED_RATES = 2

/** A server with a publisher of events. */
export interface Target {
  port: number
  /** Process whose processor time and memory are measured. */
  pid: number
  /** Number of the first event that will be published. */
  first: number
  /** Publishes events at a rate, the first with the number `from`. Returns the number of the next event. */
  publish(rate: number, seconds: number, from: number): Promise<number>
  stop(): Promise<void>
}

export interface Step {
  /** Wanted rate, and the rate that was published, in events/s. */
  rate: number
  published: number
  p50: number
  p99: number
  max: number
  /** Deliveries that are missing, repeated or out of order, and closed connections. */
  missing: number
  repeats: number
  gaps: number
  closed: number
  /** True if each client received each event number exactly once, in order, before the limit of the wait. */
  exact: boolean
  /** Processor time of the server per delivered event, in µs. */
  serverCpuUs: number
  /** Processor time of the server per delivered event without the time spent in the kernel, in µs. */
  serverUserUs: number
  /** Processor time of the server and of the load client (load.c) divided by the elapsed time. */
  serverBusy: number
  /** Near 1, the result shows the speed of the load client and not of the server. */
  clientBusy: number
  /** Memory of the server (RSS) after the step. */
  rssMB: number
}

export const hasPassed = ({ exact, p99, published, rate }: Step) =>
  exact && p99 <= LIMIT_MS && published >= LEAST_PUBLISHED * rate

/** Returns the highest step that passed. */
export const topOf = (steps: Step[]): Step | undefined => steps.filter(hasPassed).at(-1)

/** Returns why the first rate above the highest step that passed failed, and what was busy meanwhile. */
export function reasonOf(steps: Step[]): string {
  const above = steps.slice(steps.findLastIndex(hasPassed) + 1)
  const step = above.findLast(({ rate }) => rate === above[0]?.rate)
  if (!step) return 'no rate of the ladder'
  const lost = step.gaps + step.repeats + step.closed
  const reason = [
    lost > 0 && `${step.gaps} gaps, ${step.repeats} repeats, ${step.closed} closed`,
    lost === 0 && !step.exact && `${step.missing} deliveries missing after ${DRAIN_LIMIT_MS / 1000} s`,
    step.published < LEAST_PUBLISHED * step.rate && `only ${step.published.toFixed(0)}/s published`,
    step.p99 > LIMIT_MS && `p99 ${step.p99.toFixed(0)} ms`,
  ]
  const busy = `server ${step.serverBusy.toFixed(2)} cores and ${step.rssMB.toFixed(0)} MB`
  const why = reason.filter(Boolean).join(', ')
  return `${step.rate}/s: ${why} (${busy}, client ${step.clientBusy.toFixed(2)} cores)`
}

type Load = Awaited<ReturnType<typeof startLoad>>

async function climb(
  target: Target,
  load: Load,
  clients: number,
  rate: number,
  seconds: number,
  from: number,
) {
  load.send('reset')
  const before = await load.stat()
  const [cpu, begin] = [timesOf(target.pid), performance.now()]
  const next = await target.publish(rate, seconds, from)
  const published = (next - from) / ((performance.now() - begin) / 1000)
  const drained = await load.until(({ lowest }) => lowest >= next - 1, DRAIN_LIMIT_MS)
  const [after, used, elapsed] = [await load.stat(), timesOf(target.pid), (performance.now() - begin) / 1000]
  const { p50, p99, max, gaps, repeats, closed } = after
  const missing = clients * (next - from) - after.events
  const perDelivery = (cpuSeconds: number) => (cpuSeconds * 1e6) / Math.max(1, after.events)
  const step: Step = {
    ...{ rate, published, p50, p99, max, missing, gaps, repeats, closed },
    exact:
      drained !== undefined && missing === 0 && gaps + repeats + closed === 0 && after.highest === next - 1,
    serverCpuUs: perDelivery(used.all - cpu.all),
    serverUserUs: perDelivery(used.user - cpu.user),
    serverBusy: (used.all - cpu.all) / elapsed,
    clientBusy: (after.cpu - before.cpu) / elapsed,
    rssMB: rssOf(target.pid) / 2 ** 20,
  }
  return { step, next }
}

/** Measures a target at each rate, from low to high. Ends when two rates in a row have failed three times. */
export async function ladder(target: Target, clients: number, seconds: number): Promise<Step[]> {
  const load = await startLoad(target.port, clients)
  const steps: Step[] = []
  try {
    const connected = await load.until(({ answered }) => answered === clients, CONNECT_LIMIT_MS)
    if (connected === undefined) throw new Error('not all clients are connected')
    let from = await target.publish(WARM_UP_RATE, 1, target.first)
    await load.until(({ lowest }) => lowest >= from - 1, DRAIN_LIMIT_MS)
    for (let at = 0, failures = 0; at < RATES.length && failures < TRIES * FAILED_RATES; ) {
      const { step, next } = await climb(target, load, clients, RATES[at] as number, seconds, from)
      from = next
      steps.push(step)
      failures = hasPassed(step) ? 0 : failures + 1
      if (failures % TRIES === 0) at += 1
    }
  } finally {
    await load.stop()
    await target.stop()
  }
  return steps
}
