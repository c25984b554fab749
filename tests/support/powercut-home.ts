/** A home server on a disk whose power is cut: the agent as with `npm start`, and its apps over HTTP. */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { ROOT } from '../../src/config.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess, type TestProcess } from './agent.ts'
import { settings, startWholeAgent, type WholeAgent } from './npmstart.ts'
import { makeApp, makePackage } from './packages.ts'
import { freePort } from './port.ts'
import type { Disk } from './powercut.ts'

/** Time in ms in which the agent must be ready and an app must settle, on a machine under load. */
const LIMIT_MS = 180_000
const REQUEST_LIMIT_MS = 10_000
/** Statuses that do not change without a request. */
const SETTLED = ['running', 'error', 'failed', 'stopped', 'absent']
/** Number of files of an app's package, as of a typical app from the npm registry. */
const PACKAGE_FILES = 1_000

export interface PowerCutHome {
  dataDir: string
  /** Starts the agent. Returns false if it is not ready in time. */
  start(): Promise<boolean>
  begin(): void
  backup(): TestProcess
  post(app: string, verb: string, body?: object): Promise<boolean>
  status(app: string): Promise<string>
  /** Waits until the app has a status that does not change without a request, and returns it. */
  settled(app: string): Promise<string>
  /** Waits until the app has the status `running` and answers on its port. */
  isRunning(app: string): Promise<boolean>
  hasData(app: string): Promise<boolean>
  /** Returns why the app is not running, and the last lines of the agent's output. */
  describe(app: string): Promise<string>
}

export async function createPowerCutHome(top: string, disk: Disk, names: string[]): Promise<PowerCutHome> {
  const dataDir = join(disk.folder, 'data')
  const catalog = join(top, 'catalog')
  await mkdir(catalog, { recursive: true })
  const ports = new Map<string, number>()
  for (const name of names) {
    const port = await freePort()
    ports.set(name, port)
    const spec = await makePackage(join(top, 'packages'), { name, files: PACKAGE_FILES })
    await writeFile(join(catalog, `${name}.yaml`), stringify(makeApp(name, port, spec)))
  }
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  let agent: WholeAgent | undefined

  const ask = async (path: string, init: RequestInit = {}): Promise<Response | null> =>
    fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) }).catch(() => null)

  const isReady = async () => (await ask('/readyz'))?.ok ?? false

  function begin(): void {
    agent = startWholeAgent(dataDir, port, { BLOUD_CATALOG_DIR: catalog })
    agent.child.on('error', () => undefined)
  }

  async function appOf(app: string): Promise<Record<string, unknown> | null> {
    const response = await ask(`/api/apps/${app}`)
    if (!response?.ok) return null
    return (await response.json()) as Record<string, unknown>
  }

  async function status(app: string): Promise<string> {
    const found = await appOf(app)
    return found ? String(found.status ?? 'absent') : 'unknown'
  }

  async function answers(app: string): Promise<boolean> {
    const address = `http://127.0.0.1:${ports.get(app)}/health`
    const response = await fetch(address, { signal: AbortSignal.timeout(REQUEST_LIMIT_MS) }).catch(() => null)
    return response?.ok ?? false
  }

  return {
    dataDir,
    begin,
    async start() {
      begin()
      return (await pollUntil(isReady, LIMIT_MS)) === true
    },
    backup() {
      const script = join(ROOT, 'src/main/backup.ts')
      return startProcess(process.execPath, [script], { env: settings({ BLOUD_DATA_DIR: dataDir }) })
    },
    async post(app, verb, body = {}) {
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }
      return (await ask(`/api/apps/${app}/${verb}`, init))?.ok ?? false
    },
    status,
    async settled(app) {
      const found = await pollUntil(async () => {
        const now = await status(app)
        return SETTLED.includes(now) ? now : null
      }, LIMIT_MS)
      return found ?? `${await status(app)} for ${LIMIT_MS / 1000} s`
    },
    async isRunning(app) {
      const runs = async () => (await status(app)) === 'running' && (await answers(app))
      return (await pollUntil(runs, LIMIT_MS)) === true
    },
    hasData: async (app) => (await stat(join(dataDir, 'apps', app)).catch(() => null)) !== null,
    async describe(app) {
      const found = await appOf(app)
      const output = agent?.output().split('\n').slice(-15).join('\n')
      return `${app}: ${JSON.stringify(found?.status)} ${JSON.stringify(found?.cause)}\n${output}`
    },
  }
}
