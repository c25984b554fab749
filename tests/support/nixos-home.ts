/**
 * Creates a home server on a simulated NixOS machine, with the agent's real processes and a program in place
 * of nixos-rebuild.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { nixosPaths, runPaths } from '../../src/host/nixos/paths.ts'
import { isLocked } from '../../src/system/filelock.ts'
import { membersOf, readMark } from '../../src/system/processgroup.ts'
import { makeHome } from './home.ts'
import { until } from './local-host.ts'
import { endMachine, machineSettings, makeMachine, writeScenario } from './nixos-host.ts'

export const TO_BUILDING = ['→queued', 'queued→configuring', 'configuring→building']
export const TO_RUNNING = [...TO_BUILDING, 'building→starting', 'starting→running']

export type NixosHome = Awaited<ReturnType<typeof makeNixosHome>>

export async function makeNixosHome(t: TestContext) {
  const home = await makeHome(t, endMachine)
  const { profile, currentSystem, rebuild } = machineSettings(home.dataDir)
  const paths = nixosPaths(join(home.dataDir, 'nixos'))
  await makeMachine(home.dataDir)
  const machine = (file: string) => join(home.dataDir, 'machine', file)
  const env = {
    BLOUD_HOST_KIND: 'nixos',
    BLOUD_NIXOS_PROFILE: profile,
    BLOUD_NIXOS_CURRENT_SYSTEM: currentSystem,
    BLOUD_NIXOS_REBUILD: rebuild ?? '',
  }
  const configured = async (): Promise<string[]> => {
    const text = await readFile(paths.apps, 'utf8')
    return JSON.parse(text).apps.map(({ name }: { name: string }) => name)
  }
  return {
    ...home,
    paths,
    configured,
    orchestrator: (more = {}) => home.orchestrator({ ...env, ...more }),
    addApp: (name: string, more = {}) =>
      home.addApp(name, 'healthy', { image: `example/${name}:1`, ...more }),
    install: (name: string) => home.sql.query('select bloud.install($1)', [name]),
    scenario: (what: object) => writeScenario(home.dataDir, what),
    held: (phase: string) =>
      until(
        `the rebuild waits in ${phase}`,
        async () => (await readFile(machine('held'), 'utf8').catch(() => '')) === phase,
      ),
    /** Lets the simulated nixos-rebuild continue after a pause. */
    go: () => writeFile(machine('go'), ''),
    starts: async () =>
      (await readFile(machine('starts'), 'utf8').catch(() => '')).split('\n').filter(Boolean).length,
    untilConfigured: (...names: string[]) =>
      until(
        `the configured apps are ${names}`,
        async () => String(await configured().catch(() => null)) === String(names),
      ),
    /** Returns what rebuilds should have removed: processes, locks and partly written files. */
    async leftovers() {
      const processes = await membersOf({ marks: [`${await readMark(paths.mark)}/rebuild`] })
      const runs = await readdir(paths.runs).catch(() => [])
      const locks = runs.filter((id) => isLocked(runPaths(paths, id).lock))
      const files = (await readdir(paths.state, { recursive: true })).filter((file) => file.endsWith('.tmp'))
      return [...processes, ...locks, ...files]
    },
    /**
     * Stores the catalog by starting and stopping an orchestrator. Installs can then be requested before the
     * next orchestrator starts, which includes all of them in one rebuild.
     */
    async fillCatalog() {
      await (await home.orchestrator(env)).end('SIGTERM')
    },
  }
}
