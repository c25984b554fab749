/**
 * Creates a home server for a test: the agent's real processes, a database, and a catalog of small npm
 * packages.
 */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type pg from 'pg'
import { stringify } from 'yaml'
import { ROOT } from '../../src/config.ts'
import { statePaths } from '../../src/host/local/paths.ts'
import { killGroup, membersOf, readMark } from '../../src/system/processgroup.ts'
import { startProcess, type TestProcess } from './agent.ts'
import { type TestDatabase, testDatabase } from './cluster.ts'
import { settings } from './npmstart.ts'
import { type Behaviour, makeApp, makePackage } from './packages.ts'
import { freePort } from './port.ts'
import { session, transitionsOf } from './sql.ts'

const LIMIT_MS = 90_000
/**
 * Interval in ms at which conditions are checked even without a notification, because not every change in the
 * database causes a notification.
 */
const POLL_MS = 250

export interface Home {
  database: TestDatabase
  dataDir: string
  packages: string
  sql: pg.Client
  addApp(name: string, behaviour?: Behaviour, more?: object): Promise<number>
  /**
   * Starts an orchestrator (worker that executes operations) and waits until it has stored the catalog.
   */
  orchestrator(more?: Record<string, string>): Promise<TestProcess>
  /**
   * Starts a relay (HTTP server and event stream) and waits until it listens on `port`, by default a free
   * port.
   */
  relay(port?: number): Promise<TestProcess & { address: string }>
  /**
   * Frees the lease (lock in the database that makes one orchestrator the active one) of a killed
   * orchestrator, so that a test need not wait ten seconds until the lease expires.
   */
  expireLease(): Promise<unknown>
  /**
   * Waits until the app has one of the statuses. Null stands for a deleted app.
   * @throws with the app's history after `LIMIT_MS`.
   */
  until(app: string, ...statuses: (string | null)[]): Promise<void>
  untilTrue(text: string, values?: unknown[]): Promise<void>
  transitionsOf(app: string): Promise<string[]>
  cause(app: string): Promise<Record<string, unknown> | null>
  /**
   * Returns the ids of running processes on this home server: apps (`unit`), npm, or switch.ts (`switch`).
   */
  processes(kind: 'unit' | 'npm' | 'switch'): Promise<number[]>
}

export async function makeHome(
  t: TestContext,
  endMore: (dataDir: string) => Promise<void> = async () => undefined,
): Promise<Home> {
  const database = await testDatabase('home')
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-home-'))
  const catalogDir = join(dataDir, 'catalog')
  // Apps of another user read files of their packages, and the data directory is closed to that user.
  const packages = await mkdtemp(join(tmpdir(), 'bloud-packages-'))
  await chmod(packages, 0o755)
  const { mark } = statePaths(join(dataDir, 'host'))
  await mkdir(catalogDir)
  const sql = await session(database.url)
  await sql.query('listen bloud; listen bloud_work; listen bloud_log')
  const agents: TestProcess[] = []
  t.after(async () => {
    for (const { child, end } of agents)
      if (child.exitCode === null && !child.signalCode) await end('SIGTERM')
    await killGroup({ marks: [await readMark(mark).catch(() => 'none')] })
    await endMore(dataDir)
    await sql.end()
    await database.drop()
    for (const directory of [dataDir, packages])
      await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })
  const env = { BLOUD_DATA_DIR: dataDir, BLOUD_CATALOG_DIR: catalogDir }

  async function start(
    name: 'orchestrator' | 'relay',
    pattern: RegExp,
    more: Record<string, string>,
  ): Promise<TestProcess> {
    const url = database.urlFor(`bloud_${name}`)
    const script = join(ROOT, `src/main/${name}.ts`)
    const agent = startProcess(process.execPath, [script], {
      env: settings({ ...env, DATABASE_URL: url, ...more }),
    })
    agents.push(agent)
    await agent.waitFor(pattern)
    return agent
  }

  async function pollUntilTrue(what: () => Promise<string>, check: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + LIMIT_MS
    while (!(await check())) {
      if (Date.now() > end) throw new Error(`Did not happen within ${LIMIT_MS / 1000} s: ${await what()}`)
      await notificationOrTick(sql)
    }
  }

  return {
    database,
    dataDir,
    packages,
    sql,
    async addApp(name, behaviour = 'healthy', more = {}) {
      const port = await freePort()
      const app = makeApp(name, port, await makePackage(packages, { name, behaviour }), more)
      await writeFile(join(catalogDir, `${name}.yaml`), stringify(app))
      return port
    },
    orchestrator: (more = {}) => start('orchestrator', /catalog is up to date/, more),
    async relay(given) {
      const port = given ?? (await freePort())
      const agent = await start('relay', /"listening"/, { BLOUD_PORT: String(port) })
      return { ...agent, address: `http://127.0.0.1:${port}` }
    },
    expireLease: () => sql.query('update bloud.lease set lease_until = null'),
    until: (app, ...statuses) =>
      pollUntilTrue(
        async () =>
          `${app} is ${statuses.join(' or ')}; its history: ${(await transitionsOf(sql, app)).join(', ')}`,
        async () => {
          const { rows } = await sql.query(
            'select to_status from bloud.events where app = $1 order by seq desc limit 1',
            [app],
          )
          return rows.length > 0 && statuses.includes(rows[0].to_status)
        },
      ),
    untilTrue: (text, values = []) =>
      pollUntilTrue(
        async () => text,
        async () => (await sql.query({ text, values, rowMode: 'array' })).rows[0]?.[0] === true,
      ),
    transitionsOf: (app) => transitionsOf(sql, app),
    async cause(app) {
      const { rows } = await sql.query('select cause from bloud.apps where name = $1', [app])
      return rows[0]?.cause ?? null
    },
    async processes(kind) {
      return membersOf({ marks: [`${await readMark(mark)}/${kind}`] })
    },
  }
}

function notificationOrTick(client: pg.Client): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, POLL_MS)
    function done(): void {
      clearTimeout(timer)
      client.off('notification', done)
      resolve()
    }
    client.on('notification', done)
  })
}
