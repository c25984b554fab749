/**
 * Benchmark of the time from a request to install until the status `running`, for an app whose package is
 * already in the store, and of the time from the start of the agent until its page can be used.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NODE_FLAGS } from '../../src/system/nodeflags.ts'
import { settings } from '../../tests/support/npmstart.ts'
import { freePort } from '../../tests/support/port.ts'
import { option } from '../option.ts'
import { type BenchAgent, type BenchFolders, makeFolders, startAgent } from './agent.ts'
import { report, spread } from './report.ts'

const [rounds, starts] = [option('rounds', 15), option('starts', 7)]
const ROOT = join(import.meta.dirname, '../..')
const LIMIT_MS = 60_000

/** App that tells how many ms passed between the start of its process and its first listening. */
const APP = `#!/usr/bin/env node
import { createServer } from 'node:http'
let ready = 0
createServer((request, response) => response.end(request.url === '/ready' ? String(ready) : 'ok'))
  .listen(Number(process.env.PORT), '127.0.0.1', () => { ready = performance.now() })
`

async function click(agent: BenchAgent, port: number) {
  const begin = performance.now()
  await agent.sql.query("select bloud.install('app-1')")
  await agent.until("select status = 'running' from bloud.apps where name = 'app-1'")
  const total = performance.now() - begin
  const app = Number(await (await fetch(`http://127.0.0.1:${port}/ready`)).text())
  const { rows } = await agent.sql.query(
    `select from_status, extract(epoch from lasted) * 1000 as ms from bloud.events
     where operation_id = (select operation_id from bloud.apps where name = 'app-1') and from_status is not null
     order by seq`,
  )
  const phases = Object.fromEntries(rows.map(({ from_status, ms }) => [from_status, Number(ms)]))
  await agent.sql.query("select bloud.uninstall('app-1')")
  await agent.until("select status = 'stopped' from bloud.apps where name = 'app-1'")
  return { total, app, overhead: total - app, phases }
}

type Click = Awaited<ReturnType<typeof click>>

const isUsable = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/api/apps', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })

interface Start {
  usable: number
  /** Times in ms of the lines that the agent logs at its start, by their texts. */
  order: [string, number][]
}

/** Starts the agent on existing data, and returns the ms until its page can be used. */
async function coldStart({ dataDir }: BenchFolders, command: string, args: string[]): Promise<Start> {
  const port = await freePort()
  const env = {
    BLOUD_DATA_DIR: dataDir,
    BLOUD_PORT: String(port),
    BLOUD_LOG_LEVEL: 'debug',
    BLOUD_CATALOG_DIR: join(dataDir, 'catalog'),
  }
  const begin = performance.now()
  const order: [string, number][] = []
  // In a process group of its own, because npm does not pass the signal on.
  const child = spawn(command, args, {
    cwd: ROOT,
    env: settings(env),
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n').filter((each) => each.startsWith('{'))) {
      const { msg, started } = JSON.parse(line)
      if (started) order.push([String(msg), performance.now() - begin])
    }
  })
  while (!(await isUsable(port))) {
    if (performance.now() - begin > LIMIT_MS) throw new Error('the agent did not start')
    await sleep(5)
  }
  const usable = performance.now() - begin
  await sleep(1000)
  process.kill(-(child.pid as number), 'SIGTERM')
  await once(child.stdout, 'close')
  return { usable, order }
}

const folders = await makeFolders(1)
await writeFile(join(folders.packages, 'app-1', 'app.js'), APP)
const agent = await startAgent(folders)
await agent.until("select exists (select from bloud.catalog_cache where name = 'app-1')")
const { rows } = await agent.sql.query("select port from bloud.catalog_cache where name = 'app-1'")
const clicks: Click[] = []
await click(agent, rows[0].port) // installs the package with npm
for (let round = 0; round < rounds; round += 1) clicks.push(await click(agent, rows[0].port))
await agent.sql.query("select bloud.install('app-1')")
await agent.until("select status = 'running' from bloud.apps where name = 'app-1'")
await agent.end()
const [direct, npm]: [Start[], Start[]] = [[], []]
for (let round = 0; round <= starts; round += 1) {
  direct.push(await coldStart(folders, process.execPath, [...NODE_FLAGS, 'src/main/start.ts']))
  npm.push(await coldStart(folders, 'npm', ['start']))
}
await agent.remove()
const ms = (name: 'total' | 'app' | 'overhead') => spread(clicks.map((each) => each[name]))
const phase = (name: string) => spread(clicks.map(({ phases }) => phases[name] ?? Number.NaN))
// The first start of each kind fills the file cache.
const [warm, warmNpm] = [direct.slice(1), npm.slice(1)]
report(
  'click',
  { rounds, starts },
  [
    { what: 'click to running, ms', value: ms('total') },
    { what: "the app's own start, ms", value: ms('app') },
    { what: 'our overhead, ms', value: ms('overhead') },
    ...['queued', 'configuring', 'building', 'starting'].map((name) => ({
      what: `${name}, ms`,
      value: phase(name),
    })),
    { what: 'start to usable page, ms', value: spread(warm.map(({ usable }) => usable)) },
    { what: 'the same with npm start, ms', value: spread(warmNpm.map(({ usable }) => usable)) },
    ...(warm.at(-1)?.order ?? []).map(([text, at]) => ({ what: `  ${text}`, value: at.toFixed(0) })),
  ],
  { clicks, warm, warmNpm },
)
process.exit(0)
