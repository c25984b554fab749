/** Starts, finds, checks and stops one PostgreSQL server process. */
import { spawn } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { describeExit, exitOf, isAlive, run, terminateProcess } from '../system/childprocess.ts'
import { withTimeout } from '../system/timeout.ts'
import { SERVER_ENVIRONMENT } from './cluster.ts'
import { passDirectories } from './directory.ts'
import { type Binaries, program } from './program.ts'
import { openServerLog, type ServerLog } from './serverlog.ts'
import type { ServerUser } from './serveruser.ts'

export interface Server {
  pid: number
  /** Resolves when the server has ended, with a description such as "was ended by SIGKILL". */
  ended: Promise<string>
}

export interface ServerOptions {
  binaries: Binaries
  user: ServerUser | null
  directory: string
  port: number
  /** True if the server also listens on a Unix socket in its data directory. */
  socket: boolean
  /** Settings of PostgreSQL, with the names of postgresql.conf. */
  settings: Record<string, string>
  log: ServerLog
}

/**
 * Upper limit in ms of the duration of a fast shutdown, which closes all connections and writes all changed
 * data to disk. Writing takes seconds on a slow disk.
 */
const FAST_STOP_LIMIT_MS = 30_000
const IMMEDIATE_STOP_LIMIT_MS = 5_000
const KILL_LIMIT_MS = 5_000
const CONNECT_LIMIT_MS = 5_000
const CONNECT_INTERVAL_MS = 25
/** Interval in ms between two checks that a server still runs, if an earlier agent started that server. */
const ADOPTED_CHECK_INTERVAL_MS = 1_000
const PS_LIMIT_MS = 5_000
/**
 * Upper limit in bytes of the path of a Unix socket: the limit of the operating system minus the final NUL
 * byte.
 */
const SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103

export const fitsSocketPath = (directory: string, port: number) =>
  Buffer.byteLength(join(directory, `.s.PGSQL.${port}`)) <= SOCKET_PATH_BYTES

/**
 * Starts a PostgreSQL server in its own process session (setsid). In the agent's session, Ctrl-C would stop
 * the server before the agent has closed its connections.
 */
export async function spawnServer(options: ServerOptions): Promise<Server> {
  const { binaries, user, directory, port, socket, settings, log } = options
  const output = await openServerLog(log)
  const passed = await passDirectories([directory], user)
  try {
    const args = ['-D', `${passed.names[0]}`, '-p', String(port), '-k', socket ? '.' : '']
    const all = { listen_addresses: '127.0.0.1', cluster_name: 'bloud', ...settings }
    for (const [name, value] of Object.entries(all)) args.push('-c', `${name}=${value}`)
    const child = spawn(program(binaries, 'postgres'), args, {
      ...user,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', output.fd, output.fd, ...passed.files],
    })
    const ended = exitOf(child).then(describeExit)
    if (child.pid === undefined) throw new Error(await ended)
    return { pid: child.pid, ended }
  } finally {
    passed.close()
    await output.close()
  }
}

/**
 * Returns the PostgreSQL server that runs on this data directory because an earlier agent was killed. Returns
 * null if there is no such server.
 */
export async function findRunning(directory: string): Promise<(Server & { port: number }) | null> {
  const text = await fs.readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid = 0, , , port = 0] = text.split('\n').map(Number)
  if (!pid || !isAlive(pid)) return null
  if (await isServerOf(pid, directory)) return { pid, port, ended: awaitEnd(pid) }
  // The process id in postmaster.pid now belongs to another program. The file must be deleted, because
  // PostgreSQL may refuse to start if a process with this id exists.
  await fs.rm(join(directory, 'postmaster.pid'), { force: true })
  return null
}

/**
 * True if the process is the PostgreSQL server of this data directory. On Linux, the server's working
 * directory is the data directory.
 */
async function isServerOf(pid: number, directory: string): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { output } = await run('ps', ['-o', 'comm=', '-p', String(pid)], { limitMs: PS_LIMIT_MS })
    return output.includes('postgres')
  }
  try {
    const [cwd, expected] = await Promise.all([fs.stat(`/proc/${pid}/cwd`), fs.stat(directory)])
    return cwd.dev === expected.dev && cwd.ino === expected.ino
  } catch {
    return false
  }
}

async function awaitEnd(pid: number): Promise<string> {
  // The end of this server is polled, because Node reports the end only of child processes.
  while (isAlive(pid)) await sleep(ADOPTED_CHECK_INTERVAL_MS)
  return 'has ended'
}

export type Readiness = 'ready' | 'ended' | 'recovering' | 'silent' | 'foreign'

/**
 * Waits until a connection to the server succeeds or its start has failed, and returns the state of the
 * server. `foreign` means that another PostgreSQL server uses the port, because the password was rejected.
 */
export async function awaitReady(server: Server, url: string, limits: ReadyLimits): Promise<Readiness> {
  const begin = Date.now()
  for (;;) {
    const outcome = await tryConnect(url)
    if (outcome === 'ready' || outcome === 'foreign') return outcome
    if (!isAlive(server.pid)) return 'ended'
    const limit = outcome === 'recovering' ? limits.recoveryMs : limits.startMs
    if (Date.now() - begin > limit) return outcome
    await withTimeout(server.ended, CONNECT_INTERVAL_MS)
  }
}

export interface ReadyLimits {
  /** Limit in ms for a start without crash recovery. */
  startMs: number
  /** Limit in ms for a start with crash recovery, which can take minutes. */
  recoveryMs: number
}

async function tryConnect(url: string): Promise<Exclude<Readiness, 'ended'>> {
  const code = await connectionCode(url)
  if (code === null) return 'ready'
  if (code === '57P03') return 'recovering'
  return code === '28P01' || code === '28000' ? 'foreign' : 'silent'
}

/** Returns null if a connection succeeds, or else the code of the error. */
async function connectionCode(url: string): Promise<string | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    return null
  } catch (error) {
    return (error as { code?: string }).code ?? 'no_answer'
  } finally {
    await withTimeout(
      client.end().catch(() => {}),
      CONNECT_LIMIT_MS,
    )
  }
}

/**
 * Codes of a server that works, but refuses this connection: a wrong password, all connections in use, or
 * crash recovery. A restart would not help.
 */
const HEALTHY_REFUSAL = /^(28...|53300|57P03)$/

/** Returns false if a new connection fails because of the server itself. */
export async function acceptsConnections(url: string): Promise<boolean> {
  const code = await connectionCode(url)
  return code === null || HEALTHY_REFUSAL.test(code)
}

/**
 * Stops a server with a fast shutdown (SIGINT), and with stronger signals if that takes too long.
 * @returns true if the server has ended.
 */
export function stopServer({ pid }: Server, fastLimitMs = FAST_STOP_LIMIT_MS): Promise<boolean> {
  return terminateProcess(pid, [
    ['SIGINT', fastLimitMs],
    ['SIGQUIT', IMMEDIATE_STOP_LIMIT_MS],
    ['SIGKILL', KILL_LIMIT_MS],
  ])
}

/** Returns the port `wanted` if that port is free, or else any free port. */
export async function freePort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(null))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : null))
    })
  })
}
