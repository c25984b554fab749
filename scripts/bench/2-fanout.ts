/** How many events per second reach a thousand clients in time, and what one delivery costs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { option, publishAt, report, SERVERS, type Server, spread, startLoad, timesOf } from './kit.ts'

const [clients, rounds, seconds] = [option('clients', 1000), option('rounds', 2), option('seconds', 1.5)]
const RATES = [25, 50, 100, 200, 400, 800, 1600, 3200]
/** At these rates what one delivery costs is compared. */
const COMPARED_RATES = [100, 400, 1600]
const LIMIT_MS = 100
/** `--only=bloud,nchan` */
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
  serverCpuUs: number
  /** Of that, in the server itself: the rest is the kernel's, one system call for each write. */
  serverUserUs: number
  clientBusy: number
}

async function step(server: Server, load: Awaited<ReturnType<typeof startLoad>>, rate: number, from: number) {
  load.tell('reset')
  const before = await load.stat()
  const [cpu, begin] = [timesOf(server.pid), performance.now()]
  const next = await publishAt(server, rate, seconds, from)
  const drained = await load.until((heard) => heard.lowest === next - 1, DRAIN_LIMIT_MS)
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

async function ladder(make: () => Promise<Server>): Promise<Step[]> {
  const server = await make()
  const load = await startLoad(server.port, clients)
  const steps: Step[] = []
  try {
    await load.until((heard) => heard.heard === clients, 20_000)
    let from = await publishAt(server, 50, 1, 1) // warm
    await sleep(300)
    let failures = 0
    // One bad step may be somebody else's on this machine; three in a row are the server's.
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
const passed = (steps: Step[]) => steps.filter((one) => one.contiguous && one.p99 <= LIMIT_MS)
const rows = Object.entries(all).map(([server, ladders]) => {
  const best = ladders.map((steps) => passed(steps).at(-1)?.rate ?? 0)
  const costs = COMPARED_RATES.map((at) => {
    const steps = ladders.flatMap((each) => each.filter(({ rate }) => rate === at))
    return [
      [`CPU µs per delivery at ${at}/s`, spread(steps.map((one) => one.serverCpuUs))],
      [`without the kernel's`, spread(steps.map((one) => one.serverUserUs))],
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
