/**
 * Creates a NixOS host for a test. The program tests/fixtures/nixos-rebuild takes the place of nixos-rebuild.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type CatalogApp, catalogAppSchema } from '../../src/domain/catalog.ts'
import type { Host, RunResult, RunState, WantedApp } from '../../src/host/contract.ts'
import { createNixosHost, type NixosHostOptions } from '../../src/host/nixos/host.ts'
import { type NixosPaths, nixosPaths } from '../../src/host/nixos/paths.ts'
import { writeAtomic } from '../../src/system/atomicfile.ts'
import { killGroup, membersOf, readMark } from '../../src/system/processgroup.ts'
import { ended } from './local-host.ts'
import { freePort } from './port.ts'

export const REBUILD = join(import.meta.dirname, '../fixtures/nixos-rebuild')

export interface TestMachine {
  host: Host
  dataDir: string
  paths: NixosPaths
  another(more?: Partial<NixosHostOptions['nixos']>): Host
  /** Sets what the simulated nixos-rebuild does. The keys are described in tests/fixtures/nixos-rebuild. */
  scenario(what: object): Promise<void>
  go(): Promise<void>
  /** Returns the phase in which the simulated nixos-rebuild pauses, or null if it does not pause. */
  held(): Promise<string | null>
  switchTo(apps: WantedApp[]): Promise<{ id: string; state: RunState; lines: string[]; result: RunResult }>
  processes(): Promise<number[]>
  starts(): Promise<number>
}

export function machineSettings(dataDir: string): NixosHostOptions['nixos'] {
  return {
    profile: join(dataDir, 'machine/profiles/system'),
    currentSystem: join(dataDir, 'machine/current-system'),
    baseUrls: ['https://{app}.home.example', 'http://localhost:{port}'],
    ssoUrl: undefined,
    hostSecretFile: undefined,
    rebuild: REBUILD,
  }
}

export async function makeMachine(dataDir: string): Promise<void> {
  await mkdir(join(dataDir, 'machine'), { recursive: true })
  await writeFile(join(dataDir, 'machine/scenario.json'), '{}')
}

/**
 * Sets what the simulated nixos-rebuild does. The file is replaced at once, because nixos-rebuild may be
 * reading it.
 */
export const writeScenario = (dataDir: string, what: object): Promise<void> =>
  writeAtomic(join(dataDir, 'machine/scenario.json'), JSON.stringify(what))

export async function endMachine(dataDir: string): Promise<void> {
  const { mark } = nixosPaths(join(dataDir, 'nixos'))
  if (existsSync(mark)) await killGroup({ marks: [await readMark(mark)] })
  await killGroup({ marks: [], directory: join(dataDir, 'machine') })
}

export async function createTestMachine(t: TestContext): Promise<TestMachine> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-nixos-'))
  const machine = join(dataDir, 'machine')
  const paths = nixosPaths(join(dataDir, 'nixos'))
  await makeMachine(dataDir)
  t.after(async () => {
    await endMachine(dataDir)
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  })
  const another: TestMachine['another'] = (more = {}) =>
    createNixosHost({
      dataDir,
      nixos: { ...machineSettings(dataDir), ...more },
      environment: process.env,
      systemd: { systemctl: join(machine, 'systemctl'), journalctl: join(machine, 'journalctl') },
    })
  const host = another()
  await host.start()
  let runs = 0
  return {
    host,
    dataDir,
    paths,
    another,
    scenario: (what) => writeScenario(dataDir, what),
    go: () => writeFile(join(machine, 'go'), ''),
    held: () => readFile(join(machine, 'held'), 'utf8').catch(() => null),
    async switchTo(apps) {
      const run = { id: `${++runs}-1` }
      await host.configure(apps)
      await host.startSwitch(run)
      const state = await ended(host, run)
      const { lines } = await host.readLog(run, 0, 1_000_000)
      return { ...run, state, lines, result: await host.result(run) }
    },
    processes: async () =>
      existsSync(paths.mark) ? membersOf({ marks: [`${await readMark(paths.mark)}/rebuild`] }) : [],
    starts: () => countLines(join(machine, 'starts')),
  }
}

const countLines = async (file: string): Promise<number> =>
  (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean).length

/** Returns an app that NixOS would run as a container, on a free port. */
export async function container(name: string, more: object = {}): Promise<WantedApp> {
  const port = await freePort()
  return { name, port, catalog: image(name, port, more), integrationConfig: {} }
}

export function image(name: string, port: number, more: object = {}): CatalogApp {
  return catalogAppSchema.parse({
    name,
    displayName: name,
    category: 'test',
    version: '1.0.0',
    port,
    image: `example/${name}:1`,
    healthCheck: { path: '/health', interval: 0.2, timeout: 20 },
    ...more,
  })
}
