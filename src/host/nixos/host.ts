/**
 * The NixOS host, which runs apps in containers. The machine's NixOS configuration declares the containers,
 * and `nixos-rebuild switch` starts them.
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { APP_NAME, type CatalogApp } from '../../domain/catalog.ts'
import { own } from '../../domain/record.ts'
import { portObstacle } from '../../system/portcheck.ts'
import type { Host, LogSlice, Run, RunResult, RunState, WantedApp } from '../contract.ts'
import { lastLines, readLines } from '../logreader.ts'
import { rebuildEnvironment } from './environment.ts'
import { readGeneration, rollbackObstacle } from './generation.ts'
import { readOutcome, trueExitCode } from './outcome.ts'
import { type NixosPaths, nixosPaths } from './paths.ts'
import { type PurgeOptions, purge } from './purge.ts'
import { configuredApps, readApps } from './readback.ts'
import { unsupportedReason } from './render.ts'
import { createRunner } from './runner.ts'
import { readRequest } from './runrequest.ts'
import { journalOf, type Provided, type SystemdCommands, unitOf, unitState } from './systemd.ts'
import { configure } from './write.ts'

/** Number of lines at the end of a log in which error messages of Nix are searched. */
const OUTCOME_LINES = 2_000

export interface NixosHostOptions {
  dataDir: string
  nixos: {
    profile: string
    currentSystem: string
    /** URLs at which users reach an app, with the placeholders `{app}` (name) and `{port}`. */
    baseUrls: string[]
    ssoUrl: string | undefined
    /** Path of the file from which all app secrets are derived; `<data>/nixos/host-secret` by default. */
    hostSecretFile: string | undefined
    /**
     * Absolute path of a program that the agent starts instead of `nixos-rebuild`, on machines without the
     * systemd service that runs `nixos-rebuild` as root.
     */
    rebuild: string | undefined
    provided?: Provided
  }
  nodePath?: string
  systemd?: SystemdCommands
  environment?: NodeJS.ProcessEnv
}

export function createNixosHost(options: NixosHostOptions): Host {
  const { dataDir, nixos, nodePath = process.execPath } = options
  const { provided = {} } = nixos
  const unit = (name: string) => unitOf(checkName(name), provided)
  const { systemd = { systemctl: 'systemctl', journalctl: 'journalctl' } } = options
  const paths = nixosPaths(join(dataDir, 'nixos'))
  const links = { profile: nixos.profile, current: nixos.currentSystem }
  const environment = rebuildEnvironment(options.environment ?? {})
  const runner = createRunner({ paths, links, rebuild: nixos.rebuild, nodePath, environment })
  const hostSecretFile = nixos.hostSecretFile ?? join(paths.state, 'host-secret')
  const addresses = { baseUrls: nixos.baseUrls, ssoUrl: nixos.ssoUrl }

  return {
    kind: 'nixos',
    start: () => makeState(paths),
    stop: async () => undefined,
    cannotInstall,
    // A service of the machine, such as PostgreSQL, already uses its port, so its port is not checked.
    preflight: async (app, running) =>
      own(provided, app.name) ? null : preflight(paths, systemd, app, running),
    configure: (apps) => configure(apps, { paths, hostSecretFile, addresses }),
    generation: () => readGeneration(links),
    whyNoRollback: (generation) => rollbackObstacle(links, generation),
    startSwitch: async (run, rollBackTo = null) =>
      runner.startSwitch(run, await configuredApps(paths), rollBackTo !== null),
    inspect: (run) => inspect(runner, run),
    result: (run) => result(runner, run),
    readLog: (run, offset, maxBytes) => readRunLog(runner, run, offset, maxBytes),
    watchLog: runner.watchLog,
    stopSwitch: runner.stopSwitch,
    appLog: (name, lines) => journalOf(systemd, unit(name), lines),
    unitState: (name) => unitState(systemd, unit(name)),
    // The agent can't read the processes of containers, which belong to root.
    portOwner: async () => ({ owner: 'unknown' }),
    removeData: (name) =>
      removeData(checkName(name), { paths, dataDir, byUnit: nixos.rebuild === undefined }),
  }
}

type Runner = ReturnType<typeof createRunner>

function checkName(name: string): string {
  if (!APP_NAME.test(name)) throw new Error(`"${name}" is not an app name`)
  return name
}

/**
 * Creates the state directories. Only the agent may write to them, because services that run as root read the
 * files. Other users may open files whose path they know, because containers need some of the files.
 */
async function makeState(paths: NixosPaths): Promise<void> {
  for (const dir of [paths.state, paths.runs, dirname(paths.request), paths.purge]) {
    await mkdir(dir, { recursive: true, mode: 0o711 })
  }
}

function cannotInstall(app: CatalogApp): string | null {
  const reason = unsupportedReason(app)
  return reason && `${app.displayName} can't be installed on this host: ${reason}.`
}

async function preflight(
  paths: NixosPaths,
  systemd: SystemdCommands,
  app: WantedApp,
  running: string[],
): Promise<string | null> {
  const configured = await readApps(paths)
  const other = configured.find(({ name, port }) => port === app.port && running.includes(name))
  if (other && other.name !== app.name) return `Port ${app.port} is already used by ${other.name}.`
  const taken = await portObstacle(app.port)
  if (taken === null) return null
  // The port may be in use by the app's own container, which does not prevent the app from starting.
  const { state } = await unitState(systemd, unitOf(app.name))
  return state === 'running' || state === 'backoff' ? null : taken
}

async function inspect(runner: Runner, run: Run): Promise<RunState> {
  const state = await runner.inspect(run)
  if (state.state !== 'exited') return state
  return { ...state, exitCode: trueExitCode(state.exitCode, await outcomeLines(runner, run)) }
}

const outcomeLines = (runner: Runner, run: Run) => lastLines(runner.of(run).log, OUTCOME_LINES)

async function result(runner: Runner, run: Run): Promise<RunResult> {
  const [state, request] = [await inspect(runner, run), await readRequest(runner.of(run).request)]
  const code = state.state === 'exited' ? state.exitCode : null
  return readOutcome(await outcomeLines(runner, run), code, request?.apps ?? [])
}

async function readRunLog(runner: Runner, run: Run, offset: number, maxBytes: number): Promise<LogSlice> {
  // The state is read before the log. If the command ended between the two reads in the reverse order, an
  // unfinished line would be returned as a whole line.
  const { state } = await runner.inspect(run)
  return readLines(runner.of(run).log, offset, maxBytes, state === 'exited' || state === 'lost')
}

async function removeData(name: string, options: PurgeOptions): Promise<void> {
  if ((await configuredApps(options.paths)).includes(name)) {
    throw new Error(`${name} is still configured and may use its data: uninstall it first`)
  }
  await purge(name, options)
}
