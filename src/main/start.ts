/**
 * Command `npm start`: runs the whole agent on one machine. The parts are started in this order and stopped
 * in reverse order: lock of the data directory, embedded PostgreSQL (unless DATABASE_URL is set), migrations,
 * host (runs the apps), orchestrator, relay.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hideEnvironment, setupEnvironment } from '../config/childenvironment.ts'
import type { Config } from '../config.ts'
import { urlAsRole } from '../db/url.ts'
import { createLogger, type Logger } from '../log.ts'
import { databaseUrl } from '../postgres/credentials.ts'
import type { RunningPostgres } from '../postgres/embedded.ts'
import { PostgresError } from '../postgres/error.ts'
import { makeDirectory } from '../system/atomicfile.ts'
import { acquireFileLock, type FileLock } from '../system/filelock.ts'
import { isRoot } from '../system/systemuser.ts'
import { type Children, preload } from './children.ts'
import { ChildError } from './childservice.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { isListenCode, listenError, refuseTakenPort } from './listencheck.ts'
import { createSetup, type Setup } from './setupclient.ts'
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
interface Agent {
  lifecycle: Lifecycle
  log: Logger
  setup: Setup
  children: Children
}

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
 * Starts the embedded PostgreSQL.
 * @param onPortChange called when PostgreSQL has restarted on another port.
 */
async function startEmbedded(
  { lifecycle, log, setup }: Agent,
  config: Config,
  onPortChange: () => void,
): Promise<() => RunningPostgres> {
  // An agent with another database does not need this code.
  const { createEmbeddedPostgres } = await import('../postgres/embedded.ts')
  let hasStarted = false
  const prepare = async (dataDir: string) => {
    const prepared = await setup.run('prepare', dataDir)
    if (hasStarted) await setup.end() // The server is started again, and no other step follows.
    return prepared
  }
  const postgres = createEmbeddedPostgres({ dataDir: config.dataDir, log, prepare })
  let current: RunningPostgres | undefined
  await lifecycle.add({
    name: 'database',
    stopLimitMs: POSTGRES_STOP_LIMIT_MS,
    stop: postgres.stop,
    async start() {
      current = await postgres.start()
      hasStarted = true
    },
  })
  postgres.onRestart((running) => {
    const portChanged = current?.port !== running.port
    current = running
    if (portChanged) onPortChange()
  })
  return () => current as RunningPostgres
}

/**
 * Starts all parts of the agent. Returns why the database refuses the data folder, or null. A refused agent
 * serves the page and the API, but runs no app and executes no operation.
 */
async function startAll(agent: Agent, config: Config): Promise<string | null> {
  const { lifecycle, setup, children } = agent
  await lockDataDir(lifecycle, config.dataDir)
  await refuseTakenPort(config)
  const { databaseUrl: external } = config
  children.urlFor = (role) => urlAsRole(external ?? '', role)
  let server: (() => RunningPostgres) | null = null
  if (!external) {
    const running = await startEmbedded(agent, config, () => {
      for (const child of [children.orchestrator, children.relay]) child.restart()
    })
    server = running
    children.urlFor = (role) => databaseUrl(running().facts, role)
  }
  const refusal = await setup.run('migrate', config, server?.() ?? null)
  if (isRoot()) process.umask(0o077) // Files of the agent are not readable for apps, which run as another user.
  const host = {
    name: 'host',
    start: () => (refusal ? Promise.resolve() : setup.run('startHost', config)),
    stop: () => (refusal ? Promise.resolve() : setup.run('stopHost', config)),
    stopLimitMs: HOST_STOP_LIMIT_MS,
  }
  // The orchestrator starts the apps too if they do not run, so it must not do that at the same time.
  const apps = lifecycle.add(host).then(() => lifecycle.add(children.orchestrator))
  await Promise.all([apps, lifecycle.add(children.relay)])
  await setup.end()
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
const EXPECTED = [StartError, PostgresError, ChildError]

function printError(error: unknown, config: Config | null): void {
  // The port was free when it was checked, but another program may have taken the port before the relay
  // started.
  const taken = config && error instanceof ChildError && isListenCode(error.code)
  const shown = taken ? listenError(error, config.port, config.listen) : error
  const expected = shown instanceof Error && EXPECTED.some((kind) => shown instanceof kind)
  console.error(expected ? `\n${shown.message}\n` : shown)
}

async function main(): Promise<void> {
  const log = createLogger('start')
  const lifecycle = createLifecycle(log)
  let config: Config | null = null
  try {
    refuseOtherNode()
    stopOnSignals(lifecycle)
    const setup = createSetup(setupEnvironment)
    config = await setup.run('config')
    hideEnvironment()
    log.level = config.logLevel
    const children = await preload(lifecycle, log)
    const refusal = await startAll({ lifecycle, log, setup, children }, config)
    if (!lifecycle.stopping) printAddresses(config, refusal)
  } catch (error) {
    // If the operator stops the agent during its start, the start fails. This failure is expected and not
    // printed.
    if (lifecycle.stopping) return
    printError(error, config)
    await lifecycle.stop()
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
