/** Creates a local host (apps as child processes, without NixOS) in a temporary directory for a test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Host, RunState, WantedApp } from '../../src/host/contract.ts'
import { createLocalHost } from '../../src/host/local/host.ts'
import { type Paths, runPaths, statePaths } from '../../src/host/local/paths.ts'
import { killGroup, membersOf, readMark } from '../../src/system/processgroup.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { type Behaviour, makeApp, makePackage } from './packages.ts'
import { freePort } from './port.ts'

export const LIMIT_MS = 60_000

export interface TestHost {
  host: Host
  dataDir: string
  packages: string
  paths: Paths
  another(): Host
  app(name: string, behaviour?: Behaviour): Promise<WantedApp>
  /** Configures the apps, runs switch.ts (which starts and stops apps accordingly), and waits for its end. */
  switchTo(apps: WantedApp[]): Promise<{ id: string; state: RunState; lines: string[] }>
  processes(kind: 'unit' | 'npm' | 'switch'): Promise<number[]>
}

export interface TestHostOptions {
  environment?: Record<string, string>
  /** Folder of the data directory, by default one that only this user may enter. */
  parent?: string
  log?: (line: string) => void
}

export async function createTestHost(t: TestContext, options: TestHostOptions = {}): Promise<TestHost> {
  const { environment, parent = tmpdir(), log } = options
  const dataDir = await mkdtemp(join(parent, 'bloud-host-'))
  const paths = statePaths(join(dataDir, 'host'))
  const packages = join(dataDir, 'packages')
  const another = () =>
    createLocalHost({ dataDir, environment: { ...process.env, ...environment }, ...(log && { log }) })
  const host = another()
  let runs = 0
  t.after(async () => {
    await host.stop()
    await killGroup({ marks: [await readMark(paths.mark)] })
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  })
  await host.start()
  return {
    host,
    dataDir,
    packages,
    paths,
    another,
    async app(name, behaviour = 'healthy') {
      const port = await freePort()
      const spec = await makePackage(packages, { name, behaviour })
      return wanted(name, port, spec)
    },
    async switchTo(apps) {
      const run = { id: `${++runs}-1` }
      await host.configure(apps)
      await host.startSwitch(run)
      const state = await ended(host, run)
      const { lines } = await host.readLog(run, 0, 1_000_000)
      return { ...run, state, lines }
    },
    async processes(kind) {
      return membersOf({ marks: [`${await readMark(paths.mark)}/${kind}`] })
    },
  }
}

export function wanted(name: string, port: number, spec: string): WantedApp {
  return { name, port, catalog: makeApp(name, port, spec), integrationConfig: {} }
}

/**
 * Calls `check` repeatedly until it returns a value.
 * @throws an error that contains `what`, after `LIMIT_MS`.
 */
export async function until<T>(what: string, check: Parameters<typeof pollUntil<T>>[0]): Promise<T> {
  const found = await pollUntil(check, LIMIT_MS)
  if (found === null) throw new Error(`Did not happen within ${LIMIT_MS / 1000} s: ${what}`)
  return found
}

export function ended(host: Host, run: { id: string }): Promise<RunState> {
  return until(`run ${run.id} ends`, async () => {
    const state = await host.inspect(run)
    return state.state === 'exited' || state.state === 'lost' ? state : null
  })
}

export async function get(app: WantedApp, path: string): Promise<string | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${app.port}${path}`, {
      signal: AbortSignal.timeout(2_000),
    })
    return response.ok ? await response.text() : null
  } catch {
    return null
  }
}

export const answer = (app: WantedApp, path = '/health'): Promise<string> =>
  until(`${app.name} answers`, () => get(app, path))

export const runFiles = (paths: Paths, id: string) => runPaths(join(paths.state, 'runs', id))
