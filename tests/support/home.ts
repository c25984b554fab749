/** A small home server of a test's own: a database, a catalog of small packages, and the agent's real processes. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type pg from 'pg'
import { stringify } from 'yaml'
import { ROOT } from '../../src/config.ts'
import { statePaths } from '../../src/host/local/paths.ts'
import { killGroup, membersOf, readMark } from '../../src/system/processgroup.ts'
import { type Agent, startAgent } from './agent.ts'
import { type TestDatabase, testDatabase } from './cluster.ts'
import { settings } from './npmstart.ts'
import { type Behaviour, makeApp, makePackage } from './packages.ts'
import { freePort } from './port.ts'
import { moves, session } from './sql.ts'

/** Far beyond what anything here takes on a slow machine; a test that gets there is stuck. */
const LIMIT_MS = 90_000
/** A bell may be lost with the session; look again at least this often. */
const LOOK_MS = 250

export interface Home {
  database: TestDatabase
  dataDir: string
  packages: string
  /** A superuser's session. */
  sql: pg.Client
  /** Writes a catalog file, and the package behind it. Returns its port. */
  addApp(name: string, behaviour?: Behaviour, more?: object): Promise<number>
  /** Starts an orchestrator and waits until it leads. */
  orchestrator(more?: Record<string, string>): Promise<Agent>
  /** Starts a relay and waits until it listens; on the given port, or any. */
  relay(port?: number): Promise<Agent & { address: string }>
  /** Ends the lease of a killed orchestrator now instead of ten seconds later. */
  expireLease(): Promise<unknown>
  /** Waits until the app has reached a status (null: removed). @throws with its history after the limit. */
  until(app: string, ...statuses: (string | null)[]): Promise<void>
  /** Waits until a query gives true. */
  untilTrue(text: string, values?: unknown[]): Promise<void>
  moves(app: string): Promise<string[]>
  cause(app: string): Promise<Record<string, unknown> | null>
  /** Live processes of this home, by kind. */
  processes(kind: 'unit' | 'npm' | 'switch'): Promise<number[]>
}

/** @param endMore called at the end, when no agent runs any more and the data directory is still there */
export async function makeHome(
  t: TestContext,
  endMore: (dataDir: string) => Promise<void> = async () => undefined,
): Promise<Home> {
  const database = await testDatabase('house')
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-house-'))
  const [catalogDir, packages] = [join(dataDir, 'catalog'), join(dataDir, 'packages')]
  const { mark } = statePaths(join(dataDir, 'host'))
  await mkdir(catalogDir)
  const sql = await session(database.url)
  await sql.query('listen bloud; listen bloud_work; listen bloud_log')
  const agents: Agent[] = []
  t.after(async () => {
    for (const { child, end } of agents)
      if (child.exitCode === null && !child.signalCode) await end('SIGTERM')
    await killGroup({ marks: [await readMark(mark).catch(() => 'none')] })
    await endMore(dataDir)
    await sql.end()
    await database.drop()
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  })
  const env = { BLOUD_DATA_DIR: dataDir, BLOUD_CATALOG_DIR: catalogDir }

  async function start(
    name: 'orchestrator' | 'relay',
    says: RegExp,
    more: Record<string, string>,
  ): Promise<Agent> {
    const url = database.urlFor(`bloud_${name}`)
    const script = join(ROOT, `src/main/${name}.ts`)
    const agent = startAgent(process.execPath, [script], {
      env: settings({ ...env, DATABASE_URL: url, ...more }),
    })
    agents.push(agent)
    await agent.says(says)
    return agent
  }

  async function untilSeen(what: () => Promise<string>, look: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + LIMIT_MS
    while (!(await look())) {
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
      untilSeen(
        async () => `${app} is ${statuses.join(' or ')}; it went ${(await moves(sql, app)).join(', ')}`,
        async () => {
          const { rows } = await sql.query(
            'select to_status from bloud.events where app = $1 order by seq desc limit 1',
            [app],
          )
          return rows.length > 0 && statuses.includes(rows[0].to_status)
        },
      ),
    untilTrue: (text, values = []) =>
      untilSeen(
        async () => text,
        async () => (await sql.query({ text, values, rowMode: 'array' })).rows[0]?.[0] === true,
      ),
    moves: (app) => moves(sql, app),
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
    const timer = setTimeout(done, LOOK_MS)
    function done(): void {
      clearTimeout(timer)
      client.off('notification', done)
      resolve()
    }
    client.on('notification', done)
  })
}
