/** One running server (postmaster): started by us, or found running and adopted. */
import { spawn } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { describeExit, exitOf, terminateProcess, isAlive, run } from '../system/childprocess.ts'
import { withTimeout } from '../system/timeout.ts'
import { type Binaries, program } from './binaries.ts'
import { SERVER_ENVIRONMENT } from './cluster.ts'
import { passDirectories } from './directory.ts'
import { openServerLog, type ServerLog } from './serverlog.ts'
import type { ServerUser } from './serveruser.ts'

export interface Server {
  pid: number
  /** Settles when it has ended; says how, as far as that is known. */
  ended: Promise<string>
}

export interface ServerOptions {
  binaries: Binaries
  user: ServerUser | null
  /** Its data directory. */
  directory: string
  port: number
  /** With a Unix socket, in the data directory. */
  socket: boolean
  /** Settings of postgresql.conf. */
  settings: Record<string, string>
  log: ServerLog
}

/** PostgreSQL's own limit for a fast shutdown is none; a checkpoint of a home server's data takes seconds. */
const FAST_STOP_LIMIT_MS = 30_000
const IMMEDIATE_STOP_LIMIT_MS = 5_000
const KILL_LIMIT_MS = 5_000
const CONNECT_LIMIT_MS = 5_000
const LOOK_EVERY_MS = 100
const ADOPTED_LOOK_EVERY_MS = 1_000
const PS_LIMIT_MS = 5_000
/** Longest path of a Unix socket, in bytes: sun_path holds 108 on Linux and 104 on macOS, one is the final NUL. */
const SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103

export const fitsSocketPath = (directory: string, port: number) =>
  Buffer.byteLength(join(directory, `.s.PGSQL.${port}`)) <= SOCKET_PATH_BYTES

/**
 * Starts a postmaster. In a session of its own: Ctrl-C in the terminal reaches its whole process group, and the
 * server must outlast its clients.
 */
export async function spawnServer(options: ServerOptions): Promise<Server> {
  const { binaries, user, directory, port, socket, settings, log } = options
  const output = await openServerLog(log)
  const handed = await passDirectories([directory], user)
  try {
    const args = ['-D', `${handed.names[0]}`, '-p', String(port), '-k', socket ? '.' : '']
    const all = { listen_addresses: '127.0.0.1', cluster_name: 'bloud', ...settings }
    for (const [name, value] of Object.entries(all)) args.push('-c', `${name}=${value}`)
    const child = spawn(program(binaries, 'postgres'), args, {
      ...user,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', output.fd, output.fd, ...handed.files],
    })
    const ended = exitOf(child).then(describeExit)
    if (child.pid === undefined) throw new Error(await ended)
    return { pid: child.pid, ended }
  } finally {
    handed.close()
    await output.close()
  }
}

/** The postmaster that a killed agent left running on this data directory, with its port. */
export async function findRunning(directory: string): Promise<(Server & { port: number }) | null> {
  const text = await fs.readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid = 0, , , port = 0] = text.split('\n').map(Number)
  if (!pid || !isAlive(pid)) return null
  if (await isServerOf(pid, directory)) return { pid, port, ended: goneOf(pid) }
  // The number now belongs to some other program; if that is ours too, PostgreSQL would take it for a server.
  await fs.rm(join(directory, 'postmaster.pid'), { force: true })
  return null
}

/** A postmaster works inside its data directory. Without /proc, its name has to do. */
async function isServerOf(pid: number, directory: string): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { output } = await run('ps', ['-o', 'comm=', '-p', String(pid)], { limitMs: PS_LIMIT_MS })
    return output.includes('postgres')
  }
  try {
    const [cwd, ours] = await Promise.all([fs.stat(`/proc/${pid}/cwd`), fs.stat(directory)])
    return cwd.dev === ours.dev && cwd.ino === ours.ino
  } catch {
    return false
  }
}

async function goneOf(pid: number): Promise<string> {
  // It is nobody's child any more: nothing tells us of its end, we have to look.
  while (isAlive(pid)) await sleep(ADOPTED_LOOK_EVERY_MS)
  return 'is gone'
}

export type Readiness = 'ready' | 'ended' | 'recovering' | 'silent' | 'foreign'

/**
 * Waits until a real connection succeeds. SCRAM proves both sides: a server that does not know our password
 * (somebody else's, on a port that we believed ours) is `foreign`.
 */
export async function awaitReady(server: Server, url: string, limits: ReadyLimits): Promise<Readiness> {
  const begin = Date.now()
  for (;;) {
    const answer = await tryConnect(url)
    if (answer === 'ready' || answer === 'foreign') return answer
    if (!isAlive(server.pid)) return 'ended'
    const limit = answer === 'recovering' ? limits.recoveryMs : limits.startMs
    if (Date.now() - begin > limit) return answer
    await withTimeout(server.ended, LOOK_EVERY_MS)
  }
}

export interface ReadyLimits {
  startMs: number
  /** For a server that says it is replaying its log after a crash, which takes as long as it takes. */
  recoveryMs: number
}

async function tryConnect(url: string): Promise<Exclude<Readiness, 'ended'>> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    return 'ready'
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === '57P03') return 'recovering'
    return code === '28P01' || code === '28000' ? 'foreign' : 'silent'
  } finally {
    await client.end().catch(() => {})
  }
}

/** Fast shutdown first: clients are told to go, everything is written. @returns whether it is gone. */
export function stopServer({ pid }: Server): Promise<boolean> {
  return terminateProcess(pid, [
    ['SIGINT', FAST_STOP_LIMIT_MS],
    ['SIGQUIT', IMMEDIATE_STOP_LIMIT_MS],
    ['SIGKILL', KILL_LIMIT_MS],
  ])
}

/** The wanted port when nobody listens there, else any free one. */
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
