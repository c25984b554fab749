/**
 * The local host, which installs apps as npm packages and runs them as child processes of a supervisor
 * process, without NixOS.
 */
import { dirname, join, resolve, sep } from 'node:path'
import { own } from '../../domain/record.ts'
import { removeDurably, toJson, writeAtomic } from '../../system/atomicfile.ts'
import { monotonicMs } from '../../system/monotonic.ts'
import { portObstacle } from '../../system/portcheck.ts'
import { sortKeys } from '../../system/sortkeys.ts'
import { pollUntil } from '../../system/timeout.ts'
import { watchDirectory } from '../../system/watchdirectory.ts'
import type { Host, LogSlice, Run, UnitState, WantedApp } from '../contract.ts'
import { lastLines, olderLogFile, readLines } from '../logreader.ts'
import { cannotInstall } from './evaluation.ts'
import { whyNoRollback } from './generation.ts'
import { appDataDir, appLogFile, type Paths, statePaths } from './paths.ts'
import { type Prepared, prepareHost } from './preparation.ts'
import { createRunner } from './runner.ts'
import { currentGeneration, currentManifest } from './statefiles.ts'
import { createSupervisorProcess } from './supervisorprocess.ts'
import { checkName, ownerOfPort, unitState } from './unitstate.ts'

/** Time in ms to wait until an app has stopped, including the restart of a crashed supervisor. */
const APP_STOP_LIMIT_MS = 25_000

export interface LocalHostOptions {
  dataDir: string
  /**
   * Path of the Node executable for switch.ts, the supervisor and the apps. By default, the executable of
   * this process.
   */
  nodePath?: string
  npmCommand?: string[]
  /** True if stop() also ends processes that a previous agent with the same data directory left running. */
  ownsAll?: boolean
  environment?: NodeJS.ProcessEnv
  log?: (line: string) => void
}

export function createLocalHost(options: LocalHostOptions): Host {
  const { dataDir, nodePath = process.execPath, npmCommand = ['npm'], ownsAll = false } = options
  const paths = statePaths(join(dataDir, 'host'))
  let preparing: Promise<Prepared> | undefined
  const prepare = () => {
    preparing ??= prepareHost({
      paths,
      dataDir,
      nodePath,
      environment: options.environment ?? {},
      log: options.log ?? (() => undefined),
    }).catch((error) => {
      preparing = undefined // The next call tries again.
      throw error
    })
    return preparing
  }
  const runner = createRunner({ paths, npmCommand, prepare })
  const supervisor = createSupervisorProcess({ paths, prepare, ownsAll })
  /** Time since which no supervisor runs the apps, or null. The next supervisor starts all apps. */
  let absentSince: number | null = null

  async function observe(name: string): Promise<UnitState> {
    const unit = await unitState(paths, name)
    absentSince = unit.state === 'unknown' ? (absentSince ?? monotonicMs()) : null
    return absentSince === null ? unit : { ...unit, startedMsAgo: monotonicMs() - absentSince }
  }

  return {
    kind: 'local',
    async start() {
      await prepare()
      await supervisor.start()
    },
    async stop() {
      if (ownsAll) await runner.stopAll()
      await supervisor.stop()
    },
    async problems() {
      if (await supervisor.isUp()) return []
      const sentence = 'The supervisor, which runs the apps, does not run.'
      return [{ cause: 'supervisor', sentence, hint: `Read its log: ${paths.supervisorLog}` }]
    },
    cannotInstall,
    preflight: (app) => preflight(paths, app),
    async configure(apps) {
      const sorted = apps.toSorted((a, b) => (a.name < b.name ? -1 : 1))
      await writeAtomic(join(paths.config, 'apps.json'), toJson({ apps: sorted.map(sortKeys) }))
      return { warnings: {} }
    },
    generation: () => currentGeneration(paths),
    startSwitch: runner.startSwitch,
    whyNoRollback: (generation) => whyNoRollback(paths, generation),
    inspect: runner.inspect,
    result: runner.result,
    readLog: (run, offset, maxBytes) => readRunLog(runner, run, offset, maxBytes),
    watchLog: runner.watchLog,
    stopSwitch: runner.stopSwitch,
    appLog: async (name, lines) => lastLines(appLogFile(dataDir, checkName(name)), lines),
    unitState: observe,
    watchUnits: (onChange) => watchDirectory(paths.supervisor, onChange),
    portOwner: (app) => ownerOfPort(paths, dataDir, app),
    removeData: (name) => removeData(paths, dataDir, name),
  }
}

async function preflight(paths: Paths, app: WantedApp): Promise<string | null> {
  const manifest = await currentManifest(paths).catch(() => null) // The next switch replaces a damaged one.
  const onThisPort = Object.entries(manifest?.apps ?? {}).find(([, unit]) => unit.port === app.port)
  if (!onThisPort) return portObstacle(app.port)
  const [name] = onThisPort
  if (name !== app.name) return `Port ${app.port} is already used by ${name}.`
  const { state } = await unitState(paths, name)
  return state === 'running' ? null : portObstacle(app.port)
}

async function readRunLog(
  runner: ReturnType<typeof createRunner>,
  run: Run,
  offset: number,
  maxBytes: number,
): Promise<LogSlice> {
  // The state is read before the log. If the command ended between the two reads in the reverse order, an
  // unfinished line would be returned as a whole line.
  const { state } = await runner.inspect(run)
  return readLines(runner.of(run).log, offset, maxBytes, state === 'exited' || state === 'lost')
}

async function removeData(paths: Paths, dataDir: string, name: string): Promise<void> {
  checkName(name)
  const manifest = await currentManifest(paths)
  if (own(manifest?.apps ?? {}, name)) throw new Error(`${name} is still installed; its data is in use`)
  const hasStopped = async () => (await unitState(paths, name)).state === 'stopped'
  if (!(await pollUntil(hasStopped, APP_STOP_LIMIT_MS))) {
    const { state } = await unitState(paths, name)
    throw new Error(`its process may still run (state: ${state}), so its data may be in use`)
  }
  const log = appLogFile(dataDir, name)
  for (const path of [appDataDir(dataDir, name), log, olderLogFile(log)]) {
    if (!dirname(resolve(path)).startsWith(resolve(dataDir) + sep))
      throw new Error(`${path} is outside ${dataDir}`)
    await removeDurably(path)
  }
}
