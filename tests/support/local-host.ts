/** A local host of its own in a temp directory, and waits with limits. */
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

/** Far beyond what anything here takes on a slow machine; a test that gets there is stuck. */
export const LIMIT_MS = 60_000

export interface TestHost {
  host: Host
  dataDir: string
  packages: string
  paths: Paths
  /** A second agent on the same data directory. */
  another(): Host
  app(name: string, behaviour?: Behaviour): Promise<WantedApp>
  /** Configures, switches and waits for the end. */
  switchTo(apps: WantedApp[]): Promise<{ id: string; state: RunState; lines: string[] }>
  /** Live processes that this data directory's programs started, by kind. */
  processes(kind: 'unit' | 'npm' | 'switch'): Promise<number[]>
}

export async function createTestHost(t: TestContext): Promise<TestHost> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-host-'))
  const paths = statePaths(join(dataDir, 'host'))
  const packages = join(dataDir, 'packages')
  const another = () => createLocalHost({ dataDir, environment: process.env })
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

/** Waits, and fails with a sentence when the limit is over. */
export async function until<T>(what: string, look: Parameters<typeof pollUntil<T>>[0]): Promise<T> {
  const found = await pollUntil(look, LIMIT_MS)
  if (found === null) throw new Error(`Did not happen within ${LIMIT_MS / 1000} s: ${what}`)
  return found
}

export function ended(host: Host, run: { id: string }): Promise<RunState> {
  return until(`run ${run.id} ends`, async () => {
    const state = await host.inspect(run)
    return state.state === 'exited' || state.state === 'lost' ? state : null
  })
}

/** The body of an answer; null when nobody answers. */
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
