/**
 * Benchmark of the install of fifty apps, requested at once or one after the other, on a host whose switch
 * command (which applies the new configuration) takes 1 s.
 */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openListener } from '../../src/db/listener.ts'
import { openPool } from '../../src/db/pool.ts'
import type { Host, Run } from '../../src/host/contract.ts'
import { createLogger } from '../../src/log.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { option } from '../option.ts'
import { startDatabase } from './database.ts'
import { report, spread } from './report.ts'

const [apps, rounds, switchMs] = [option('apps', 50), option('rounds', 3), option('switch', 1000)]
const LIMIT_MS = 180_000
const names = Array.from({ length: apps }, (_, index) => `app-${index + 1}`)

/**
 * Returns a simulated host. Its switch command only waits `switchMs` ms, and every app is healthy at once.
 */
function slowHost(): Host {
  const runs = new Map<string, number>()
  const isOver = ({ id }: Run) => performance.now() - (runs.get(id) ?? 0) >= switchMs
  return {
    kind: 'local',
    start: async () => {},
    stop: async () => {},
    cannotInstall: () => null,
    preflight: async () => null,
    configure: async () => ({ warnings: {} }),
    generation: async () => String([...runs.keys()].filter((id) => isOver({ id })).length),
    whyNoRollback: async () => null,
    startSwitch: async ({ id }) => void (runs.has(id) || runs.set(id, performance.now())),
    async inspect(run) {
      if (!runs.has(run.id)) return { state: 'absent' }
      return isOver(run) ? { state: 'exited', exitCode: 0 } : { state: 'running' }
    },
    result: async () => ({ failures: {} }),
    readLog: async (_, offset) => ({ lines: [], nextOffset: offset }),
    watchLog(_run, onChange) {
      const timer = setTimeout(onChange, switchMs)
      return () => clearTimeout(timer)
    },
    stopSwitch: async () => true,
    appLog: async () => [],
    unitState: async () => ({
      state: 'running',
      exitCode: null,
      restarts: 0,
      series: null,
      startedMsAgo: null,
    }),
    portOwner: async () => ({ owner: 'unknown' }),
    removeData: async () => {},
  }
}

const FIRST_PORT = 9000
const servers = names.map((_, index) =>
  createServer((_request, answer) => answer.end('ok')).listen(FIRST_PORT + index, '127.0.0.1'),
)
await Promise.all(servers.map((server) => once(server, 'listening')))
const catalogDir = await mkdtemp(join(tmpdir(), 'bloud-bench-catalog-'))
for (const [index, name] of names.entries()) {
  const text = `name: ${name}\ndisplayName: ${name}\ndescription: an app\ncategory: test\nversion: "1"\nport: ${FIRST_PORT + index}\nimage: none\nhealthCheck: {path: /, interval: 1, timeout: 60}\n`
  await writeFile(join(catalogDir, `${name}.yaml`), text)
}

async function measure(oneByOne: boolean) {
  const database = await startDatabase()
  const admin = await database.session()
  const pool = await openPool(database.urlOf('bloud_orchestrator'), 'bench', 5)
  const orchestrator = createOrchestrator({
    worker: 'bench:1:a',
    pool,
    host: slowHost(),
    log: createLogger('bench', 'error'),
    progress: { alive() {}, phase() {}, recovered() {} } as never,
    catalogDir,
    pairingFile: join(catalogDir, 'pairing.json'),
    buildTimeoutSeconds: 60,
    retentionDays: 90,
  })
  const handlers = { onNotification: orchestrator.notify, onListening: orchestrator.notify, onLost() {} }
  const listener = openListener(database.urlOf('bloud_orchestrator'), 'bench', ['bloud_work'], handlers)
  orchestrator.start()
  const count = async (text: string) => Number((await admin.query(text)).rows[0].count)
  const until = async (text: string, goal: number) => {
    const end = performance.now() + LIMIT_MS
    while ((await count(text)) < goal) {
      if (performance.now() > end) throw new Error(`did not reach ${goal}: ${text}`)
      await sleep(10)
    }
  }
  await until('select count(*) from bloud.catalog_cache', apps)
  const running = "select count(*) from bloud.apps where status = 'running'"
  const begin = performance.now()
  for (const [index, name] of names.entries()) {
    await admin.query('select bloud.install($1)', [name])
    if (oneByOne) await until(running, index + 1)
  }
  await until(running, apps)
  const seconds = (performance.now() - begin) / 1000
  const rebuilds = await count('select count(*) from bloud.rebuilds')
  await orchestrator.stop()
  await listener.close()
  await pool.end()
  await admin.end()
  await database.stop()
  return { seconds, rebuilds }
}

const together = []
for (let round = 0; round < rounds; round += 1) together.push(await measure(false))
const oneByOne = [await measure(true)]
const row = (way: string, all: { seconds: number; rebuilds: number }[]) => ({
  way,
  'seconds to all running': spread(all.map(({ seconds }) => seconds)),
  rebuilds: spread(all.map(({ rebuilds }) => rebuilds)),
})
report('installs', { apps, rounds, switchMs }, [row('at once', together), row('one by one', oneByOne)], {
  together,
  oneByOne,
})
for (const server of servers) server.close()
await rm(catalogDir, { recursive: true, force: true })
