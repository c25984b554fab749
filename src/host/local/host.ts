/** The local host: npm packages as apps, generations as folders, a supervisor as init system. */
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { APP_NAME } from '../../domain/catalog.ts'
import { toJson, writeAtomic } from '../../system/atomicfile.ts'
import { isLocked } from '../../system/filelock.ts'
import { portObstacle } from '../../system/portcheck.ts'
import { sortKeys } from '../../system/sortkeys.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { Host, LogSlice, Run, UnitState, WantedApp } from '../contract.ts'
import { lastLines, olderLogFile, readLines } from '../logreader.ts'
import { toolEnvironment } from './environment.ts'
import { cannotInstall } from './evaluation.ts'
import { whyGone } from './generation.ts'
import { appDataDir, appLogFile, type Paths, statePaths } from './paths.ts'
import { createRunner } from './runner.ts'
import { currentGeneration, currentManifest, supervisorState } from './statefiles.ts'
import { createSupervisorProcess } from './supervisorprocess.ts'

/** A supervisor that has just crashed is back, and has ended what was left, well within this. */
const GONE_LIMIT_MS = 25_000

export interface LocalHostOptions {
  /** Absolute. */
  dataDir: string
  /** The Node that runs the switch, the supervisor and the apps; this one by default. */
  nodePath?: string
  /** ['npm'] by default, found in PATH. */
  npmCommand?: string[]
  /**
   * Whether everything that runs on this data directory is this agent's to stop: a switch at work, and a supervisor
   * left by an agent that was killed. `npm start`, which holds the lock of the data directory, says so.
   */
  ownsAll?: boolean
  /** The agent's environment, of which npm gets a chosen part. Empty by default. */
  environment?: NodeJS.ProcessEnv
}

export function createLocalHost(options: LocalHostOptions): Host {
  const { dataDir, nodePath = process.execPath, npmCommand = ['npm'], ownsAll = false } = options
  const paths = statePaths(join(dataDir, 'host'))
  const environment = toolEnvironment(options.environment ?? {}, nodePath)
  const runner = createRunner({ paths, nodePath, npmCommand, environment })
  const keeper = createSupervisorProcess({ paths, nodePath, environment, ownsAll })

  return {
    kind: 'local',
    async start() {
      await mkdir(paths.state, { recursive: true, mode: 0o700 })
      await keeper.start()
    },
    async stop() {
      if (ownsAll) await runner.stopAll()
      await keeper.stop()
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
    whyNoRollback: (generation) => whyGone(paths, generation),
    inspect: runner.inspect,
    result: runner.result,
    readLog: (run, offset, maxBytes) => readRunLog(runner, run, offset, maxBytes),
    watchLog: runner.watchLog,
    stopSwitch: runner.stopSwitch,
    url: (app) => `http://127.0.0.1:${app.port}`,
    appLog: async (name, lines) => lastLines(appLogFile(dataDir, checkName(name)), lines),
    unitState: (name) => unitState(paths, name),
    removeData: (name) => removeData(paths, dataDir, name),
  }
}

function checkName(name: string): string {
  if (!APP_NAME.test(name)) throw new Error(`"${name}" is no app name`)
  return name
}

async function preflight(paths: Paths, app: WantedApp): Promise<string | null> {
  const manifest = await currentManifest(paths)
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
  // Looked at before reading: a run that ends in between has its last line read next time.
  const { state } = await runner.inspect(run)
  return readLines(runner.of(run).log, offset, maxBytes, state === 'exited' || state === 'lost')
}

async function unitState(paths: Paths, name: string): Promise<UnitState> {
  const state = isLocked(paths.supervisorLock) ? await supervisorState(paths) : null
  const unit = state?.apps[name]
  if (unit) return { state: unit.state, exitCode: unit.exitCode, restarts: unit.restarts }
  return { state: state && state.generation !== null ? 'stopped' : 'unknown', exitCode: null, restarts: 0 }
}

/** @throws for anything but the name of an app that is off and whose process is gone: this can't be undone. */
async function removeData(paths: Paths, dataDir: string, name: string): Promise<void> {
  checkName(name)
  const manifest = await currentManifest(paths)
  if (manifest?.apps[name]) throw new Error(`${name} is still on; its data is in use`)
  const isGone = async () => (await unitState(paths, name)).state === 'stopped'
  if (!(await pollUntil(isGone, GONE_LIMIT_MS))) {
    const { state } = await unitState(paths, name)
    throw new Error(`its process is not known to be gone (it is ${state}), so its data may be in use`)
  }
  const log = appLogFile(dataDir, name)
  for (const path of [appDataDir(dataDir, name), log, olderLogFile(log)]) {
    if (!dirname(resolve(path)).startsWith(resolve(dataDir) + sep)) throw new Error(`${path} is outside`)
    await rm(path, { recursive: true, force: true })
  }
}
