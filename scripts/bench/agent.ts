/** Starts the whole agent, as `npm start` does, with a catalog of small npm packages. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { stringify } from 'yaml'
import { statePaths } from '../../src/host/local/paths.ts'
import { databaseUrl, readCredentials } from '../../src/postgres/credentials.ts'
import { killGroup, readMark } from '../../src/system/processgroup.ts'
import { startWholeAgent } from '../../tests/support/npmstart.ts'
import { makeApp, makePackage } from '../../tests/support/packages.ts'
import { freePort } from '../../tests/support/port.ts'

const LIMIT_MS = 300_000
const POLL_MS = 50

export interface BenchAgent {
  address: string
  dataDir: string
  packages: string
  /** Process id of the process that `npm start` starts. */
  pid: number
  sql: pg.Client
  /** Waits until the query returns true. */
  until(text: string, values?: unknown[]): Promise<void>
  /** Ends the agent and its apps, and keeps its data. */
  end(): Promise<void>
  /** Deletes the data of the agent. */
  remove(): Promise<void>
  /** Ends the agent and its apps, and deletes the data. */
  stop(): Promise<void>
}

export interface BenchFolders {
  dataDir: string
  packages: string
}

/** Creates the data directory and a catalog of `apps` apps, `app-1`, `app-2` …, which probe every 30 s. */
export async function makeFolders(apps: number, interval = 30): Promise<BenchFolders> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-bench-agent-'))
  const packages = await mkdtemp(join(tmpdir(), 'bloud-bench-packages-'))
  await chmod(packages, 0o755)
  await mkdir(join(dataDir, 'catalog'))
  for (let n = 1; n <= apps; n += 1) {
    const healthCheck = { path: '/health', interval, timeout: 60 }
    const app = makeApp(`app-${n}`, await freePort(), await makePackage(packages, { name: `app-${n}` }), {
      healthCheck,
    })
    await writeFile(join(dataDir, 'catalog', `app-${n}.yaml`), stringify(app))
  }
  return { dataDir, packages }
}

/** Starts the agent in `folders`, which `stop` deletes. Resolves when the agent has printed its address. */
export async function startAgent(
  { dataDir, packages }: BenchFolders,
  more: Record<string, string> = {},
): Promise<BenchAgent> {
  const settings = { BLOUD_CATALOG_DIR: join(dataDir, 'catalog'), BLOUD_LOG_LEVEL: 'error', ...more }
  const agent = startWholeAgent(dataDir, await freePort(), settings)
  await agent.up()
  const credentials = more.DATABASE_URL ? null : await readCredentials(dataDir)
  const url = credentials ? databaseUrl(credentials, 'superuser') : (more.DATABASE_URL as string)
  const sql = new pg.Client({ connectionString: url })
  sql.on('error', () => undefined)
  await sql.connect()
  await sql.query('listen bloud')
  let next = Promise.withResolvers<void>()
  sql.on('notification', () => {
    next.resolve()
    next = Promise.withResolvers()
  })
  async function end(): Promise<void> {
    await sql.end()
    await agent.end('SIGTERM')
    const { mark } = statePaths(join(dataDir, 'host'))
    await killGroup({ marks: [await readMark(mark).catch(() => 'none')] })
  }
  async function remove(): Promise<void> {
    for (const folder of [dataDir, packages])
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return {
    address: agent.address,
    dataDir,
    packages,
    pid: agent.child.pid as number,
    sql,
    async until(text, values = []) {
      const end = performance.now() + LIMIT_MS
      while ((await sql.query({ text, values, rowMode: 'array' })).rows[0]?.[0] !== true) {
        if (performance.now() > end) throw new Error(`did not happen: ${text}`)
        // Polling often would take processor time from the agent.
        await Promise.race([next.promise, sleep(POLL_MS)])
      }
    },
    end,
    remove,
    async stop() {
      await end()
      await remove()
    },
  }
}
