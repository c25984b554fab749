/**
 * Benchmark of an old installation: millions of events, a hundred thousand operations, 500 apps of a catalog
 * of 2,000. Measures what the page and the operator read, the invariants, and the pruning.
 */
import { get } from 'node:http'
import type pg from 'pg'
import { chromium } from 'playwright-core'
import { createLogger } from '../../src/log.ts'
import { startRelayServer } from '../../src/main/relayserver.ts'
import { option } from '../option.ts'
import { prepareTools } from '../test-tools.ts'
import { settingsOf, startDatabase } from './database.ts'
import { report, spread } from './report.ts'

const [events, operations, apps, entries] = [
  option('events', 1_000_000),
  option('operations', 100_000),
  option('apps', 500),
  option('entries', 2_000),
]
const [rounds, days] = [option('rounds', 7), option('days', 120)]
const STEPS = "(array[null, 'queued', 'configuring', 'building', 'starting', 'running'])"

/** Number of the last event, after which all apps are running again. */
const lastEvent = events - 1 - ((events / apps) % 2 === 0 ? apps : 0)

/** Fills the tables as that many installs and later failures of health checks would, without triggers. */
const FILL = [
  'set session_replication_role = replica',
  `insert into bloud.catalog_cache
     (name, yaml_content, updated_at, entry, display_name, description, category, version, port, is_system)
   select 'app-' || n, repeat('x', 600), now(), jsonb_build_object('name', 'app-' || n, 'integrations',
     '{}'::jsonb, 'healthCheck', '{"kind": "http", "path": "/", "interval": 10, "timeout": 60}'::jsonb),
     'App ' || n, 'One of many apps on a large server.', 'category ' || n % 9, '1.0.' || n, 10000 + n, false
   from generate_series(1, ${entries}) n`,
  `insert into bloud.rebuilds (state, phase, attempt, worker, lease_until, deadline, started_at, finished_at,
     generation_before, generation_after, desired)
   select 'succeeded', 'building', 1, 'bench', t.at, t.at, t.at, t.at, n - 1, n, '{}'
   from generate_series(1, ${operations}) n,
     lateral (select now() - interval '${days} days' * (1 - n::float / ${operations}) as at) t`,
  `insert into bloud.rebuild_log (rebuild_id, line_no, at, line)
   select r.id, l, r.started_at, 'line ' || l from bloud.rebuilds r, generate_series(1, 5) l`,
  `insert into bloud.operations (app, kind, state, requested_by, origin, rebuild_id, requested_at, started_at,
     finished_at, cause)
   select 'app-' || 1 + (n % ${apps}), 'install', 'succeeded', 'bench', 'web', n, r.started_at, r.started_at,
     r.started_at, null
   from generate_series(1, ${operations}) n join bloud.rebuilds r on r.id = n`,
  `insert into bloud.apps (name, display_name, version, status, port, wanted, operation_id, installed_at,
     configured_at)
   select 'app-' || n, 'App ' || n, '1.0.' || n, 'running', 10000 + n, true,
     (select max(o.id) from bloud.operations o where o.app = 'app-' || n), now(), now()
   from generate_series(1, ${apps}) n`,
  `insert into bloud.events (seq, at, app, from_status, to_status, operation_id, actor, origin, lasted, app_id,
     display_name, version, port, is_system, integration_config, updated_at)
   select n, t.at, 'app-' || a.nr, case when a.step <= 4 then ${STEPS}[a.step + 1]
       when a.step % 2 = 1 then 'running' else 'error' end,
     case when a.step <= 4 then ${STEPS}[a.step + 2] when a.step % 2 = 1 then 'error' else 'running' end,
     a.nr, 'bench', 'agent', interval '1 minute', a.nr, 'App ' || a.nr, '1.0.' || a.nr, 10000 + a.nr, false,
     '{}', t.at
   from generate_series(0, ${lastEvent}) n,
     lateral (select 1 + n % ${apps} as nr, n / ${apps} as step) a,
     lateral (select now() - interval '${days} days' * (1 - n::float / ${events}) as at) t`,
  `update bloud.apps a set status = (select e.to_status from bloud.events e where e.app = a.name
     order by e.seq desc limit 1)`,
  `update bloud.apps set cause = '{"class": "health", "message": "It answered 503."}' where status = 'error'`,
  `select setval('bloud.events_seq', ${events})`,
  'set session_replication_role = origin',
  'vacuum analyze',
]

const database = await startDatabase()
const sql = await database.session()
for (const text of FILL) await sql.query(text)

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await work()
  return performance.now() - begin
}

async function several(work: () => Promise<unknown>, count = rounds): Promise<number[]> {
  await work()
  const times: number[] = []
  for (let round = 0; round < count; round += 1) times.push(await timed(work))
  return times
}

const query = (text: string) => () => sql.query(text)

/** Returns the size in bytes of a response, as sent over the network. */
const bytesOf = (port: number, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ port, path, headers: { 'accept-encoding': 'gzip, br' }, agent: false }, (response) => {
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      response.on('end', () => resolve(bytes))
    }).on('error', reject)
  })

/** Returns the kB that Chromium receives until the page is live, and for a second more. */
async function firstLoad(port: number): Promise<number> {
  const { env, missing } = await prepareTools(console.error)
  if (!env.BLOUD_TEST_CHROMIUM) throw new Error(missing.join('\n'))
  const browser = await chromium.launch({ executablePath: env.BLOUD_TEST_CHROMIUM, args: ['--no-sandbox'] })
  const page = await browser.newPage()
  const network = await page.context().newCDPSession(page)
  /** Bytes of each request. Chromium reports the compressed size of a reply only at its end. */
  const bytes = new Map<string, number>()
  await network.send('Network.enable')
  network.on('Network.dataReceived', ({ requestId, encodedDataLength, dataLength }) => {
    bytes.set(requestId, (bytes.get(requestId) ?? 0) + (encodedDataLength || dataLength))
  })
  network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    bytes.set(requestId, encodedDataLength)
  })
  await page.goto(`http://127.0.0.1:${port}`)
  await page.locator('[data-connection="live"]').waitFor()
  await page.waitForTimeout(1000)
  await browser.close()
  return [...bytes.values()].reduce((sum, each) => sum + each, 0) / 1000
}

/** Prunes for two minutes at most. Returns the deleted events per minute. */
async function pruneRate(): Promise<number> {
  const count = async () => Number((await sql.query('select count(*) from bloud.events')).rows[0].count)
  const { rows } = await sql.query(`select bloud.acquire_lease('bench', 60) as attempt`)
  const [before, begin] = [await count(), performance.now()]
  let minutes = 0
  for (let after: string | null = '0', pruned = 1; after !== null || pruned > 0; ) {
    const { rows: found }: pg.QueryResult = await sql.query(
      "select pruned, next_seq from bloud.prune($1, interval '90 days', 10, 5000, $2)",
      [rows[0].attempt, after],
    )
    pruned = found[0].pruned
    after = found[0].next_seq
    minutes = (performance.now() - begin) / 60_000
    if (minutes > 2) break
  }
  return (before - (await count())) / minutes
}

const server = await startRelayServer({
  config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
  databaseUrl: database.urlOf('bloud_relay'),
  log: createLogger('bench', 'error'),
})
const address = `http://127.0.0.1:${server.port}`
const fetched = (path: string) => async () => void (await (await fetch(address + path)).arrayBuffer())
const history = await several(query('select * from bloud.history limit 50'))
const historyOfApp = await several(query("select * from bloud.history where app = 'app-7' limit 50"))
const status = await several(query('select * from bloud.app_status'))
const snapshot = await several(query('select bloud.snapshot()'))
const metrics = await several(fetched('/metrics'))
const list = await several(fetched('/api/apps'))
const besides = await Promise.all([
  ...Array.from({ length: 10 }, () => timed(fetched('/metrics'))),
  timed(fetched('/api/apps')),
])
const load = await firstLoad(server.port)
const html = await bytesOf(server.port, '/')
const why = await several(query("select * from bloud.why('app-7')"))
await sql.query("set statement_timeout = '300s'")
const state = await several(query('select * from bloud.check_state()'))
const range = `(select max(seq) - 20000 from bloud.events), (select max(seq) from bloud.events)`
const part = await several(query(`select * from bloud.check_events(${range})`))
// With millions of events, the check of all of them takes minutes.
const invariants = events > 1_000_000 ? [] : await several(query('select * from bloud.check_invariants()'), 1)
const rollback = await several(query('select bloud.plan_rollback()')).catch(() => [])
const pruned = await pruneRate()
const row = (what: string, value: string, goal = '') => ({ what, value, goal })
report(
  'age',
  { events, operations, apps, entries, days, postgres: await settingsOf(sql) },
  [
    row('history limit 50, ms', spread(history), '≤ 5'),
    row('history of one app limit 50, ms', spread(historyOfApp), '≤ 5'),
    row('app_status, ms', spread(status), '≤ 60'),
    row('snapshot(), ms', spread(snapshot), '≤ 60'),
    row("why('app-7'), ms", spread(why)),
    row('GET /api/apps, ms', spread(list)),
    row('GET /api/apps beside ten /metrics, ms', (besides.at(-1) as number).toFixed(0)),
    row('GET /metrics, ms', spread(metrics), '≤ 20'),
    row('first load of the page, kB', load.toFixed(0), '≤ 200'),
    row('  of which the document', (html / 1000).toFixed(0)),
    row('check_state(), ms', spread(state)),
    row('check of the last 20,000 events, ms', spread(part)),
    row('check_invariants(), ms', spread(invariants)),
    row('plan_rollback(), ms', spread(rollback)),
    row('events pruned per minute', pruned.toFixed(0), `≥ 10000`),
  ],
  { history, historyOfApp, status, snapshot, metrics, list, besides, invariants, pruned },
)
await server.stop()
await sql.end()
await database.stop()
process.exit(0)
