/**
 * Tries failovers of PostgreSQL under the running agent:
 * `node scripts/ha.ts [--failovers=20] [--asynchronous]`.
 *
 * Starts etcd, two PostgreSQL servers with Patroni and HAProxy in a temporary folder, and an orchestrator and
 * a relay that reach the database through HAProxy. Kills the primary again and again while writers install
 * and uninstall apps. Prints JSON: how many acknowledged operations and events the last primary lacks, and
 * what a client of the event stream noticed. docs/high-availability.md explains the result.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { stringify } from 'yaml'
import { migrate } from '../src/db/migration.ts'
import { LOGINS } from '../src/postgres/embedded.ts'
import { median } from './bench/report.ts'
import { audit, openStream, startProbe, startWriters } from './ha-audit.ts'
import { type Cluster, freePorts, type Node, PASSWORD, poll, queryNode, startCluster } from './ha-cluster.ts'
import { option } from './option.ts'

const failovers = option('failovers', 20)
const asynchronous = process.argv.includes('--asynchronous')
const DATABASE = 'bloud'
const PROBE = 'probe'
const WRITERS = ['one', 'two', 'three', 'four']
/** Every fifth failover kills Patroni too. It then takes 20 s until the lock of the dead primary ends. */
const MACHINE_EVERY = 5
/** Time between two failovers in which writers work on a healthy cluster. */
const CALM_MS = 3_000
/** Time by which an asynchronous standby is behind when the primary is killed. */
const BEHIND_MS = 2_000
const APP = `require('node:http').createServer((q, s) => s.end('ok')).listen(+process.env.PORT, '127.0.0.1')\n`

async function makeCatalog(cluster: Cluster): Promise<string> {
  const dir = cluster.makeDirectory('catalog')
  const ports = await freePorts(WRITERS.length + 1)
  for (const [index, name] of [...WRITERS, PROBE].entries()) {
    const folder = cluster.makeDirectory(`package-${name}`)
    const manifest = { name: `ha-${name}`, version: '1.0.0', bin: { app: 'app.js' } }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
    writeFileSync(join(folder, 'app.js'), `#!/usr/bin/env node\n${APP}`)
    const entry = {
      name,
      displayName: name,
      category: 'test',
      port: ports[index],
      healthCheck: { interval: 1 },
    }
    writeFileSync(
      join(dir, `${name}.yaml`),
      stringify({ ...entry, npm: { package: `file:${folder}`, bin: 'app' } }),
    )
  }
  return dir
}

async function makeDatabase(cluster: Cluster): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.url('postgres') })
  await client.connect()
  await client.query(`create database ${DATABASE}`)
  await client.end()
  const rolePasswords = Object.fromEntries(LOGINS.map((login) => [login, PASSWORD]))
  await migrate({ url: cluster.url(DATABASE), rolePasswords, log: { info: () => undefined } })
}

/** Starts the agent's processes, and waits until an app runs. Returns the address of the page. */
async function startAgent(cluster: Cluster): Promise<string> {
  const [port = 0] = await freePorts(1)
  const settings = {
    BLOUD_DATA_DIR: cluster.makeDirectory('data'),
    BLOUD_CATALOG_DIR: await makeCatalog(cluster),
    BLOUD_PORT: String(port),
  }
  for (const name of ['orchestrator', 'relay']) {
    const DATABASE_URL = cluster.url(DATABASE, `bloud_${name}`)
    const program = join(import.meta.dirname, `../src/main/${name}.ts`)
    cluster.run(name, process.execPath, [program], { ...settings, DATABASE_URL })
  }
  const client = new pg.Client({ connectionString: cluster.url(DATABASE) })
  await client.connect()
  const isTrue = async (text: string) => ((await client.query(text)).rows[0]?.ok ? true : null)
  const entries = `select count(*) > ${WRITERS.length} as ok from bloud.catalog`
  await poll('the orchestrator reads the catalog', () => isTrue(entries))
  await client.query('select bloud.install($1)', [PROBE])
  const runs = `select status = 'running' as ok from bloud.apps where name = '${PROBE}'`
  await poll('an app runs', () => isTrue(runs))
  await client.end()
  return `http://127.0.0.1:${port}`
}

/** Stops the process that sends changes to the standby, so that the standby falls behind. */
async function holdBack(primary: Node): Promise<void> {
  const row = await queryNode(primary, 'select pid from pg_stat_replication limit 1')
  if (row) process.kill(Number(row.pid), 'SIGSTOP')
  await sleep(BEHIND_MS)
}

async function failOver(cluster: Cluster, probe: ReturnType<typeof startProbe>, machine: boolean) {
  const { primary, standby } = await cluster.ready()
  if (asynchronous) await holdBack(primary)
  const killedAt = performance.now()
  cluster.crash(primary, machine)
  const promotedAt = await poll('the standby is promoted', async () => {
    const row = await queryNode(standby, 'select not pg_is_in_recovery() as promoted')
    return row?.promoted ? performance.now() : null
  })
  const writtenAt = await poll('a write is accepted', async () => probe.firstWriteAt(standby.port))
  if (machine) cluster.startPatroni(primary)
  await cluster.ready()
  return { promotionMs: promotedAt - killedAt, firstWriteMs: Math.max(0, writtenAt - promotedAt) }
}

/** Waits until the stream has the newest event and no operation is open. */
async function settle(cluster: Cluster, stream: ReturnType<typeof openStream>): Promise<Node> {
  const { primary } = await cluster.ready()
  const state = `select (select max(seq) from bloud.events) as head,
    (select count(*) from bloud.operations where state in ('queued', 'active')) as open`
  await poll('all operations end', async () =>
    Number((await queryNode(primary, state, DATABASE))?.open) === 0 ? true : null,
  )
  await poll('the stream has all events', async () => {
    const head = Number((await queryNode(primary, state, DATABASE))?.head)
    return stream.last() >= head ? true : null
  }).catch(() => undefined) // The audit counts what is missing.
  return primary
}

const spread = (values: number[]) => ({
  p50: Math.round(median(values)),
  max: Math.round(Math.max(...values)),
})

async function main(cluster: Cluster): Promise<boolean> {
  await cluster.ready()
  await makeDatabase(cluster)
  const address = await startAgent(cluster)
  const stream = openStream(address)
  const probe = startProbe(cluster.url(DATABASE), PROBE)
  const writers = startWriters(cluster.url(DATABASE), address, WRITERS)
  const times: Awaited<ReturnType<typeof failOver>>[] = []
  for (let number = 1; number <= failovers; number += 1) {
    await sleep(CALM_MS)
    times.push(await failOver(cluster, probe, number % MACHINE_EVERY === 0))
    console.error(`failover ${number}: ${JSON.stringify(times.at(-1))}`)
  }
  await sleep(CALM_MS)
  await Promise.all([writers.stop(), probe.stop()])
  const primary = await settle(cluster, stream)
  stream.stop()
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${primary.port}/${DATABASE}`
  const accepted = [...writers.accepted, ...probe.accepted]
  const { lostOperations, lostEvents, missed } = await audit(url, accepted, stream.seen, stream.covered)
  const lost = lostOperations + lostEvents
  const { connections, resets, outOfOrder } = stream.counts
  const result = {
    failovers,
    standby: asynchronous ? 'asynchronous' : 'synchronous',
    acknowledged: {
      operations: writers.accepted.length,
      renames: probe.accepted.length,
      events: stream.seen.length,
    },
    lost: { operations: lostOperations, events: lostEvents },
    promotionMs: spread(times.map(({ promotionMs }) => promotionMs)),
    firstWriteMs: spread(times.map(({ firstWriteMs }) => firstWriteMs)),
    streamReconnects: connections - 1,
    resets,
    epochs: new Set(stream.seen.map(({ epoch }) => epoch)).size,
    outOfOrder,
    missed,
  }
  console.log(JSON.stringify(result))
  return outOfOrder + missed === 0 && (asynchronous || lost === 0)
}

let cluster: Cluster | null = null
try {
  cluster = await startCluster(!asynchronous)
  const { stop } = cluster
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(130)))
  }
  process.exitCode = (await main(cluster)) ? 0 : 1
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 2
} finally {
  await cluster?.stop()
}
process.exit()
