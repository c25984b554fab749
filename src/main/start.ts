/**
 * Command `npm start`: runs the whole agent on one machine. The parts are started in this order and stopped
 * in reverse order: lock of the data directory, embedded PostgreSQL (unless DATABASE_URL is set), migrations,
 * host (runs the apps), orchestrator, relay.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { agentEnvironment, hideEnvironment, hostEnvironment } from '../config/childenvironment.ts'
import { type Config, ConfigError, readConfig } from '../config.ts'
import { poolerProblem } from '../db/connectionproblem.ts'
import { connectionProblem, ensureDatabase, NoResponseError, rightsWarning } from '../db/database.ts'
import { MigrationError, migrate } from '../db/migration.ts'
import { folderProblem } from '../db/pairing.ts'
import { urlAsRole } from '../db/url.ts'
import { createHost, HostError } from '../host/index.ts'
import { createLogger, type Logger } from '../log.ts'
import { ensureIdentity } from '../orchestrator/pairing.ts'
import { type Credentials, createEmbeddedPostgres, databaseUrl, PostgresError } from '../postgres/embedded.ts'
import { makeDirectory } from '../system/atomicfile.ts'
import { acquireFileLock, type FileLock } from '../system/filelock.ts'
import { isRoot } from '../system/systemuser.ts'
import { ChildError, createChildService } from './childservice.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { isListenCode, listenError, refuseTakenPort } from './listencheck.ts'
import { StartError } from './starterror.ts'

/** Oldest supported version of Node: major and minor. */
const OLDEST_NODE = [22, 18] as const
/** First unsupported major version of Node. */
const ABOVE_NODE = 23
/**
 * File with the process id of the running agent. A second agent names this process id in its error message.
 */
const PID_FILE = 'agent.pid'
const LOCK_STOP_LIMIT_MS = 1_000
const POSTGRES_STOP_LIMIT_MS = 45_000
/**
 * Upper limit of the time in which the host stops, in ms: 15 s for the switch command (`nixos-rebuild
 * switch`, or switch.ts without NixOS), 20 s for the apps, and a reserve of 15 s.
 */
const HOST_STOP_LIMIT_MS = 50_000
/**
 * Upper limit of the time in which a child process stops, in ms. A child that ignores SIGTERM is killed after
 * 15 s, so the limit must be larger.
 */
const CHILD_STOP_LIMIT_MS = 20_000

type UrlFor = (role: 'bloud_relay' | 'bloud_orchestrator') => string

function refuseOtherNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const old = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  if (!old && major < ABOVE_NODE) return
  const wanted = `${OLDEST_NODE.join('.')} or newer, below ${ABOVE_NODE}`
  throw new StartError(
    'other_node',
    `This is Node ${process.versions.node}; Bloud needs ${wanted}. Use "npm start".`,
  )
}

/**
 * Takes the lock of the data directory, so that only one agent uses the directory. The kernel releases the
 * lock when the process ends, even after kill -9.
 */
async function lockDataDir(lifecycle: Lifecycle, dataDir: string): Promise<void> {
  let lock: FileLock | null = null
  await lifecycle.add({
    name: 'lock',
    stopLimitMs: LOCK_STOP_LIMIT_MS,
    stop: async () => lock?.release(),
    async start() {
      try {
        await makeDirectory(dataDir, 0o700)
        lock = await acquireFileLock(join(dataDir, 'agent.lock'))
        if (lock) await writeFile(join(dataDir, PID_FILE), `${process.pid}\n`)
      } catch (error) {
        const reason = `${dataDir} can't be used for the data: ${(error as Error).message}`
        throw new StartError('data_dir', `${reason}\nSet BLOUD_DATA_DIR to a folder that you may write to.`)
      }
      if (!lock) throw await alreadyRunning(dataDir)
    },
  })
}

async function alreadyRunning(dataDir: string): Promise<StartError> {
  const pid = (await readFile(join(dataDir, PID_FILE), 'utf8').catch(() => '')).trim()
  return new StartError(
    'already_running',
    `Bloud already runs with the data in ${dataDir}${pid && ` (process ${pid})`}. ` +
      'Stop that process first, or set BLOUD_DATA_DIR and BLOUD_PORT to run a second agent.',
  )
}

/**
 * Starts the embedded PostgreSQL and brings the agent's database, its schema and its logins up to date.
 * @param onPortChange called when PostgreSQL has restarted on another port.
 */
async function startEmbedded(
  lifecycle: Lifecycle,
  config: Config,
  log: Logger,
  onPortChange: () => void,
): Promise<UrlFor> {
  const postgres = createEmbeddedPostgres({ dataDir: config.dataDir, log })
  let facts: Credentials | undefined
  await lifecycle.add({
    name: 'database',
    stopLimitMs: POSTGRES_STOP_LIMIT_MS,
    stop: postgres.stop,
    async start() {
      const running = await postgres.start()
      facts = running.facts
      await ensureDatabase(running.superuserUrl, facts.database)
      await migrate({ url: databaseUrl(facts, 'superuser'), rolePasswords: facts.rolePasswords, log })
    },
  })
  postgres.onRestart((running) => {
    const portChanged = facts?.port !== running.port
    facts = running.facts
    if (portChanged) onPortChange()
  })
  return (role) => databaseUrl(facts as Credentials, role)
}

async function useExternal(url: string, config: Config, log: Logger): Promise<UrlFor> {
  const problem = await connectionProblem(url)
  if (problem) {
    throw new StartError('no_database', `Can't connect to the database of DATABASE_URL: ${problem.message}`)
  }
  const shared = await poolerProblem(url)
  if (shared) throw new StartError('connection_pooler', shared)
  // A database that belongs to another machine is not migrated, because that machine may run another version.
  if (!(await refusalOfFolder(url, config))) await migrate({ url, log })
  const warning = await rightsWarning(url)
  if (warning) log.warn(warning)
  return (role) => urlAsRole(url, role)
}

/** Returns why the database refuses the data folder, in sentences, or null. */
async function refusalOfFolder(url: string, config: Config): Promise<string | null> {
  return folderProblem(url, await ensureIdentity(config.pairingFile), hostname())
}

/**
 * Starts all parts of the agent. Returns why the database refuses the data folder, or null. A refused agent
 * serves the page and the API, but runs no app and executes no operation.
 */
async function startAll(lifecycle: Lifecycle, config: Config, log: Logger): Promise<string | null> {
  await lockDataDir(lifecycle, config.dataDir)
  await refuseTakenPort(config)
  const children: { restart(): void }[] = []
  const urlFor = config.databaseUrl
    ? await useExternal(config.databaseUrl, config, log)
    : await startEmbedded(lifecycle, config, log, () => {
        for (const child of children) child.restart()
      })
  const refusal = await refusalOfFolder(urlFor('bloud_orchestrator'), config)
  if (!refusal) {
    if (isRoot()) process.umask(0o077) // Files of the agent are not readable for apps, which run as another user.
    const host = createHost({
      ...config,
      ownsAll: true,
      environment: hostEnvironment(),
      log: (line) => log.info(line),
    })
    const startHost = () =>
      host.start().catch((error: Error) => {
        if (error instanceof HostError) throw error
        throw new StartError('host', `The apps can't be started: ${error.message}`)
      })
    await lifecycle.add({ name: 'host', start: startHost, stop: host.stop, stopLimitMs: HOST_STOP_LIMIT_MS })
  }
  for (const name of ['orchestrator', 'relay'] as const) {
    const databaseUrl = () => urlFor(`bloud_${name}`)
    const child = createChildService({ name, env: agentEnvironment, databaseUrl, log })
    children.push(child)
    await lifecycle.add({ name, stopLimitMs: CHILD_STOP_LIMIT_MS, ...child })
  }
  return refusal
}

function printAddresses(config: Config, refusal: string | null): void {
  const { listen, port, dataDir, databaseUrl: external } = config
  // A browser cannot open the addresses `0.0.0.0` and `::`, which mean all addresses of the machine.
  const name = listen === '0.0.0.0' || listen === '::' ? '127.0.0.1' : listen
  const address = `http://${name.includes(':') ? `[${name}]` : name}:${port}`
  const data = external ? `${dataDir}, and the database of DATABASE_URL` : dataDir
  const state = refusal ? `Bloud runs no app and executes nothing:\n\n    ${refusal}` : 'Bloud is running.'
  console.log(`
  ${state}

    Page    ${address}
    Data    ${data}
    psql    npm run -s psql
    Stop    Ctrl-C
`)
}

/**
 * Classes of errors whose message is written for the operator. Other errors are bugs and are printed with
 * their stack.
 */
const EXPECTED = [
  StartError,
  ConfigError,
  HostError,
  PostgresError,
  MigrationError,
  NoResponseError,
  ChildError,
]

function printError(error: unknown, config: Config | null): void {
  // The port was free when it was checked, but another program may have taken the port before the relay
  // started.
  const taken = config && error instanceof ChildError && isListenCode(error.code)
  const shown = taken ? listenError(error, config.port, config.listen) : error
  const expected = shown instanceof Error && EXPECTED.some((kind) => shown instanceof kind)
  console.error(expected ? `\n${shown.message}\n` : shown)
}

async function main(): Promise<void> {
  let config: Config | null = null
  let lifecycle: Lifecycle | null = null
  try {
    refuseOtherNode()
    config = readConfig()
    hideEnvironment()
    const log = createLogger('start', config.logLevel)
    lifecycle = createLifecycle(log)
    stopOnSignals(lifecycle)
    const refusal = await startAll(lifecycle, config, log)
    if (!lifecycle.stopping) printAddresses(config, refusal)
  } catch (error) {
    // If the operator stops the agent during its start, the start fails. This failure is expected and not
    // printed.
    if (lifecycle?.stopping) return
    printError(error, config)
    await lifecycle?.stop()
    process.exit(1)
  }
}

function stopOnSignals(lifecycle: Lifecycle): void {
  const stop = () => {
    if (lifecycle.stopping) return lifecycle.kill()
    console.log('\n  Stopping …\n')
    void lifecycle.stop().then(() => process.exit(0))
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop)
  process.on('uncaughtException', (error) => {
    console.error(error)
    void lifecycle.stop().then(() => process.exit(1))
  })
  // Writing to a closed terminal fails. The error is ignored, because the services must still be stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

await main()
