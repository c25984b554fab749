/**
 * Starts, restarts and stops the PostgreSQL server that is installed with the agent.
 *
 *   <data>/postgres/            data directory
 *   <data>/database.json        port and passwords, for the agent and for `npm run psql`
 *   <data>/logs/postgresql.log  log of the server
 *
 * The server listens only on loopback and requires a password from every client. If the agent is killed, the
 * server continues to run, and the next agent uses the same server. The caller must hold the lock of the data
 * directory.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../log.ts'
import { pollUntil } from '../system/timeout.ts'
import { clusterDirectory } from './cluster.ts'
import { type Credentials, databaseUrl, writeCredentials } from './credentials.ts'
import { PostgresError } from './error.ts'
import type { Prepared } from './preparation.ts'
import {
  awaitReady,
  findRunning,
  fitsSocketPath,
  freePort,
  type Server,
  spawnServer,
  stopServer,
} from './server.ts'
import { createServerLog } from './serverlog.ts'
import { type ServerWatch, watchServer } from './serverwatch.ts'
import { SETTINGS } from './settings.ts'

export { type Credentials, databaseUrl, LOGINS, type Login, readCredentials } from './credentials.ts'
export { PostgresError } from './error.ts'

export interface EmbeddedPostgresOptions {
  dataDir: string
  log: Logger
  /** Settings of PostgreSQL, with the names of postgresql.conf. */
  settings?: Record<string, string>
  /** Prepares the programs, the data directory and the passwords. The default does it in this process. */
  prepare?: (dataDir: string) => Promise<Prepared>
}

export interface RunningPostgres {
  /** URL with which the superuser connects to the database `postgres`. */
  superuserUrl: string
  port: number
  socketDir: string | null
  facts: Credentials
  /** True if the server was started by an earlier agent that was killed, and is used again. */
  adopted: boolean
}

export interface EmbeddedPostgres {
  /**
   * Starts the server if it is not running. Resolves when the server accepts connections.
   * @throws PostgresError
   */
  start(): Promise<RunningPostgres>
  /** Stops the server, even while it starts. Resolves when the server has ended. */
  stop(): Promise<void>
  /** Registers a listener that is called after each automatic restart, because the port can change. */
  onRestart(listener: (running: RunningPostgres) => void): void
}

const READY_LIMITS = { startMs: 60_000, recoveryMs: 600_000 }
/**
 * Upper limit of the number of attempts to start the server. Only a temporary error, such as a port that is
 * in use, causes another attempt.
 */
const ATTEMPTS = 20
const ATTEMPT_PAUSE_MS = 500
const RESTART_PAUSE_MS = 1_000
const RESTART_PAUSE_MAX_MS = 30_000
/**
 * Upper limit in ms of the fast shutdown of a server that accepts no connections. PostgreSQL repairs its data
 * at the next start if the shutdown was not complete.
 */
const FAILED_STOP_LIMIT_MS = 10_000
export function createEmbeddedPostgres({
  dataDir,
  log,
  settings,
  prepare = prepareHere,
}: EmbeddedPostgresOptions): EmbeddedPostgres {
  const directory = clusterDirectory(dataDir)
  const serverLog = createServerLog(dataDir)
  const listeners: ((running: RunningPostgres) => void)[] = []
  let started: Promise<RunningPostgres> | null = null
  let server: Server | null = null
  let watch: ServerWatch | null = null
  let wanted = false

  async function bringUp(): Promise<RunningPostgres> {
    const { binaries, user, facts } = await prepare(dataDir)
    const adopted = await adopt(facts)
    if (adopted) return adopted
    return attempt(ATTEMPTS, facts, (port) =>
      spawnServer({
        binaries,
        user,
        directory,
        port,
        socket: fitsSocketPath(directory, port),
        settings: { ...SETTINGS, ...settings },
        log: serverLog,
      }),
    )
  }

  async function adopt(facts: Credentials): Promise<RunningPostgres | null> {
    const found = await findRunning(directory)
    if (!found) return null
    const readiness = await awaitReady(found, superuserUrl({ ...facts, port: found.port }), READY_LIMITS)
    if (readiness === 'ready') {
      log.info({ postgresPid: found.pid }, 'adopted the PostgreSQL that was still running')
      return hold(found, { ...facts, port: found.port }, true)
    }
    // The running server is stopping or accepts no connections, so it is stopped and the caller starts a new
    // server.
    await stopServer(found)
    return null
  }

  async function attempt(
    left: number,
    facts: Credentials,
    spawn: (port: number) => Promise<Server>,
  ): Promise<RunningPostgres> {
    const port = await freePort(facts.port)
    const from = await serverLog.size()
    const fresh = await spawn(port)
    const readiness = await awaitReady(fresh, superuserUrl({ ...facts, port }), READY_LIMITS)
    if (readiness === 'ready') return hold(fresh, { ...facts, port }, false)
    await stopServer(fresh)
    const output = await serverLog.tail(from)
    if (!wanted || left <= 1 || !isTransient(output, readiness))
      throw startFailed(readiness, output, serverLog.path)
    await sleep(ATTEMPT_PAUSE_MS)
    return attempt(left - 1, facts, spawn)
  }

  async function hold(up: Server, facts: Credentials, adopted: boolean): Promise<RunningPostgres> {
    const socketDir = fitsSocketPath(directory, facts.port) ? directory : null
    const current = { ...facts, socketDir }
    await writeCredentials(dataDir, current)
    server = up
    serverLog.startRotation()
    up.ended.then((how) => void onExit(up, how)).catch(() => {})
    watch?.stop()
    watch = watchServer(superuserUrl(current), () => void onNoConnections(up))
    return { superuserUrl: superuserUrl(current), port: facts.port, socketDir, facts: current, adopted }
  }

  async function onNoConnections(failed: Server): Promise<void> {
    if (!wanted || server !== failed) return
    log.error({ postgresPid: failed.pid }, 'PostgreSQL accepts no new connection: stopping it')
    await stopServer(failed, FAILED_STOP_LIMIT_MS)
  }

  async function onExit(lost: Server, how: string): Promise<void> {
    if (!wanted || server !== lost) return
    server = null
    watch?.stop()
    log.error({ postgresPid: lost.pid }, `PostgreSQL ${how}; starting it again`)
    const restart = restartWithBackoff()
    started = restart
    const running = await restart.catch(() => null)
    if (running) for (const listener of listeners) listener(running)
  }

  async function restartWithBackoff(): Promise<RunningPostgres> {
    for (let pause = RESTART_PAUSE_MS; ; pause = Math.min(pause * 2, RESTART_PAUSE_MAX_MS)) {
      try {
        return await bringUp()
      } catch (error) {
        if (!wanted) throw error
        log.error({ error: String(error) }, `PostgreSQL does not start; trying again in ${pause / 1000} s`)
        await pollUntil(() => !wanted, pause)
      }
    }
  }

  function start(): Promise<RunningPostgres> {
    wanted = true
    started ??= bringUp().catch((error) => {
      started = null
      throw error
    })
    return started
  }

  async function stop(): Promise<void> {
    wanted = false
    await started?.catch(() => {})
    const last = server
    server = null
    started = null
    watch?.stop()
    serverLog.stopRotation()
    if (last && !(await stopServer(last))) log.error({ postgresPid: last.pid }, 'PostgreSQL does not end')
  }

  return { start, stop, onRestart: (listener) => void listeners.push(listener) }
}

/** Loads the code only now, because a process that prepares elsewhere does not need it. */
async function prepareHere(dataDir: string): Promise<Prepared> {
  const { prepare } = await import('./preparation.ts')
  return prepare(dataDir)
}

const superuserUrl = (facts: Credentials) => databaseUrl(facts, 'superuser', 'postgres')

/** True for a start error that is temporary, for example because another program uses the port. */
const isTransient = (output: string, readiness: string) =>
  readiness === 'foreign' ||
  /could not bind|could not create any TCP\/IP sockets|lock file ".*" already exists|pre-existing shared memory block/.test(
    output,
  )

function startFailed(readiness: string, output: string, logPath: string): PostgresError {
  const reason = readiness === 'ended' ? 'ended at once' : `did not accept connections (${readiness})`
  return new PostgresError('start_failed', `PostgreSQL ${reason}. The end of its log, ${logPath}:\n${output}`)
}
