/**
 * Benchmark of the web page: measures the time spent in scripts per frame, from a trace recorded by Chromium.
 *
 *   node scripts/bench/page.ts [apps] [events/s] [slowdown]
 *
 * Chromium simulates a processor that is slower by the factor `slowdown`.
 */
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setInterval as every } from 'node:timers/promises'
import pg from 'pg'
import { type Browser, chromium } from 'playwright-core'
import { migrate } from '../../src/db/migration.ts'
import { createLogger } from '../../src/log.ts'
import { startRelayServer } from '../../src/main/relayserver.ts'
import { createEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { prepareTools } from '../test-tools.ts'

const [APPS = 500, EVENTS_PER_SECOND = 50, SLOWDOWN = 1] = process.argv.slice(2).map(Number)
const SECONDS = 10
const SETTLE_LIMIT_MS = 120_000
const FRAME_MS = 1000 / 60
const SCRIPT = new Set([
  'FunctionCall',
  'EventDispatch',
  'TimerFire',
  'FireAnimationFrame',
  'RunMicrotasks',
  'EvaluateScript',
])

interface TraceEvent {
  name: string
  ph: string
  pid: number
  tid: number
  ts: number
  dur?: number
  /** Processor time in µs. Unlike `dur`, without the time in which other threads used the processor. */
  tdur?: number
}

const CATALOG = `
  insert into bloud.catalog_cache
    (name, yaml_content, updated_at, entry, display_name, description, category, version, port, is_system)
  select 'app-' || n, '', now(), jsonb_build_object('name', 'app-' || n, 'integrations', '{}'::jsonb),
    'App ' || n,
    'One of many apps on a large server.', 'category ' || n % 9, '1.0.' || n, 10000 + n, false
  from generate_series(1, $1::integer) n`

async function fillDatabase(sql: pg.Client): Promise<void> {
  await sql.query(CATALOG, [APPS])
  await sql.query('select bloud.install(name) from bloud.catalog_cache')
  for (const status of ['configuring', 'building', 'starting', 'running'])
    await sql.query('update bloud.apps set status = $1, wanted = true', [status])
  await sql.query("update bloud.operations set state = 'cancelled', finished_at = now()")
}

async function makeEvents(sql: pg.Client): Promise<number> {
  const end = Date.now() + SECONDS * 1000
  let made = 0
  for await (const _ of every(1000 / EVENTS_PER_SECOND)) {
    if (Date.now() > end) break
    const name = `app-${1 + ((made * 7) % APPS)}`
    await sql.query(
      `update bloud.apps set status = case status when 'running' then 'error' else 'running' end,
        cause = case status when 'running'
          then '{"class": "health", "phase": "running", "message": "It answered 503."}'::jsonb end
       where name = $1`,
      [name],
    )
    made += 1
  }
  return made
}

/** Returns the ms spent in scripts, for each frame. A call inside another call is not counted twice. */
function scriptPerFrame(events: TraceEvent[]): number[] {
  const calls = events.filter(({ name, ph, dur }) => ph === 'X' && dur && SCRIPT.has(name))
  const threads = Object.values(Object.groupBy(calls, ({ pid, tid }) => `${pid}/${tid}`))
  const main = threads.sort((a, b) => (b?.length ?? 0) - (a?.length ?? 0))[0] ?? []
  const frames = new Map<number, number>()
  let until = 0
  for (const { ts, dur = 0, tdur = dur } of main.sort((a, b) => a.ts - b.ts)) {
    const fresh = ts < until ? 0 : tdur
    until = Math.max(until, ts + dur)
    const frame = Math.floor(ts / 1000 / FRAME_MS)
    frames.set(frame, (frames.get(frame) ?? 0) + fresh / 1000)
  }
  return [...frames.values()].sort((a, b) => a - b)
}

async function measure(browser: Browser, address: string, sql: pg.Client): Promise<void> {
  const page = await browser.newPage()
  page.setDefaultTimeout(SETTLE_LIMIT_MS)
  await page.goto(address)
  await page.locator('[data-connection="live"]').waitFor()
  await page.waitForFunction((apps) => document.querySelectorAll('article[data-app]').length === apps, APPS)
  const processor = await page.context().newCDPSession(page)
  await processor.send('Emulation.setCPUThrottlingRate', { rate: SLOWDOWN })
  await browser.startTracing(page, { categories: ['devtools.timeline'] })
  const made = await makeEvents(sql)
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] }
  const frames = scriptPerFrame(trace.traceEvents)
  const at = (share: number) =>
    (frames[Math.min(frames.length - 1, Math.floor(frames.length * share))] ?? 0).toFixed(1)
  const over = frames.filter((ms) => ms > 16).length
  console.log(
    `${APPS} apps, ${(made / SECONDS).toFixed(0)} events/s for ${SECONDS} s, CPU slowed ${SLOWDOWN} times`,
  )
  console.log(
    `ms of script in frames with script: p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, maximum ${at(1)}`,
  )
  console.log(`frames with script: ${frames.length}; over 16 ms: ${over} of ${SECONDS * 60}`)
}

async function main(): Promise<void> {
  const { env, missing } = await prepareTools(console.log)
  if (!env.BLOUD_TEST_CHROMIUM) throw new Error(missing.join('\n'))
  const dataDir = await fs.mkdtemp(join(tmpdir(), 'bloud-bench-'))
  const log = createLogger('bench', 'error')
  const postgres = createEmbeddedPostgres({ dataDir, log, settings: { fsync: 'off' } })
  const { superuserUrl } = await postgres.start()
  await migrate({ url: superuserUrl, log })
  const sql = new pg.Client({ connectionString: superuserUrl })
  await sql.connect()
  await fillDatabase(sql)
  const server = await startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
    databaseUrl: superuserUrl,
    log,
  })
  const browser = await chromium.launch({
    executablePath: env.BLOUD_TEST_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu'],
  })
  try {
    await measure(browser, `http://127.0.0.1:${server.port}`, sql)
  } finally {
    await browser.close()
    await server.stop()
    await sql.end()
    await postgres.stop()
    await fs.rm(dataDir, { recursive: true, force: true })
  }
}

await main()
