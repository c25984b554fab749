/** Shared code of the benchmarks: the servers to compare, the load client (load.c), statistics and output. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { PADDING } from './servers/history.ts'

export const HERE = import.meta.dirname
export const FOLDER = mkdtempSync(join(tmpdir(), 'bloud-bench-'))
const NCHAN = '/usr/share/nginx/modules/ngx_nchan_module.so'
const children = new Set<ChildProcess>()
const START_LIMIT_MS = 30_000
/** Number of messages that nchan (an nginx module for event streams) keeps for clients that reconnect. */
const KEPT_MESSAGES = process.env.BENCH_KEPT ?? '20000'
const BETTER_SSE = 'better-sse@0.16.1'

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(FOLDER, { recursive: true, force: true })
})

/**
 * Returns the time of CLOCK_MONOTONIC in µs. The load client uses the same clock, so the times can be
 * compared.
 */
export const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)

export function start(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

export async function line(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [text] = await once(lines, 'line', { signal: AbortSignal.timeout(START_LIMIT_MS) })
  lines.close()
  return text
}

export interface Server {
  name: string
  port: number
  pid: number
  publish(seq: number, dueUs: number): void
  stop(): Promise<void>
}

async function nodeServer(name: string, script: string, ...args: string[]): Promise<Server> {
  const child = start(process.execPath, [join(HERE, 'servers', script), ...args])
  const { port, feed } = JSON.parse(await line(child))
  const socket = connect(feed, '127.0.0.1')
  socket.setNoDelay(true)
  await once(socket, 'connect')
  return {
    name,
    port,
    pid: child.pid as number,
    publish: (seq, dueUs) => void socket.write(`${seq} ${dueUs}\n`),
    async stop() {
      socket.destroy()
      await stop(child)
    },
  }
}

async function isUp(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(500) }).then(
    () => true,
    () => false,
  )
}

/**
 * Publishes events to nchan by POST requests on one connection, without waiting for the responses, because
 * waiting would limit the rate.
 */
function poster(socket: Socket) {
  socket.setNoDelay(true)
  socket.on('data', () => undefined)
  return (seq: number, t: number) => {
    const body = JSON.stringify({ seq, t, pad: PADDING })
    socket.write(`POST /pub HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  }
}

async function nchan(): Promise<Server> {
  if (!existsSync(NCHAN)) throw new Error('nchan is not installed: apt-get install nginx libnginx-mod-nchan')
  const port = 18_000 + Math.floor(Math.random() * 4000)
  const conf = join(FOLDER, `nchan-${port}.conf`)
  const text = readFileSync(join(HERE, 'servers/nchan.conf'), 'utf8')
  writeFileSync(
    conf,
    text
      .replaceAll('{folder}', FOLDER)
      .replaceAll('{port}', String(port))
      .replaceAll('{kept}', KEPT_MESSAGES),
  )
  const child = start('nginx', ['-p', '/usr/share/nginx', '-c', conf])
  for (let tries = 0; tries < 50 && !(await isUp(port)); tries += 1) await sleep(100)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return {
    name: 'nchan',
    port,
    pid: child.pid as number,
    publish: poster(socket),
    async stop() {
      socket.destroy()
      await stop(child)
    },
  }
}

let betterSse: string | undefined
function betterSseFolder(): string {
  if (betterSse) return betterSse
  execFileSync('npm', ['install', '--prefix', FOLDER, '--no-audit', '--no-fund', BETTER_SSE], {
    stdio: 'ignore',
  })
  betterSse = FOLDER
  return betterSse
}

export const SERVERS: Record<string, () => Promise<Server>> = {
  bloud: () => nodeServer('bloud', 'bloud.ts'),
  nchan,
  'node:http': () => nodeServer('node:http', 'node-http.ts'),
  'node:http 10 ms': () => nodeServer('node:http 10 ms', 'node-http.ts', '10'),
  'node:http throttled': () => nodeServer('node:http throttled', 'node-http.ts', '10', 'throttled'),
  'better-sse': () => nodeServer('better-sse', 'better-sse.mjs', betterSseFolder()),
}

export interface LoadStats {
  opened: number
  /** Number of clients that have received the HTTP response header. */
  answered: number
  failed: number
  closed: number
  events: number
  gaps: number
  repeats: number
  bytes: number
  /** Last event number received by the client that is furthest behind. */
  lowest: number
  highest: number
  /** Percentiles of the latency in ms, measured from the time at which an event was due to be published. */
  p50: number
  p99: number
  max: number
  cpu: number
}

let loadClient: string | undefined
function compiled(): string {
  if (loadClient) return loadClient
  loadClient = join(FOLDER, 'load')
  execFileSync('gcc', ['-O2', '-o', loadClient, join(HERE, 'load.c')])
  return loadClient
}

/** Starts the load client (load.c), a process that opens many connections to a server and counts events. */
export async function startLoad(
  port: number,
  connections: number,
  id = '-',
  path = '/api/events',
  env: NodeJS.ProcessEnv = {},
) {
  const command = `ulimit -n 20000; exec ${compiled()} ${port} '${path}' ${connections} ${id}`
  const child = start('bash', ['-c', command], { ...process.env, ...env })
  const send = (text: string) => child.stdin?.write(`${text}\n`)
  const load = {
    child,
    send,
    async stat(): Promise<LoadStats> {
      const answer = line(child)
      send('stat')
      return JSON.parse(await answer)
    },
    /**
     * Reads the statistics repeatedly until `enough` returns true. Returns the elapsed ms, or undefined after
     * `limitMs` ms.
     */
    async until(enough: (stats: LoadStats) => boolean, limitMs: number): Promise<number | undefined> {
      const begin = performance.now()
      while (performance.now() - begin < limitMs) {
        if (enough(await load.stat())) return performance.now() - begin
        await sleep(20)
      }
      return undefined
    },
    stop: () => stop(child),
  }
  return load
}

/**
 * Publishes events at a fixed rate and returns the number of the next event. An event contains the time at
 * which it was due, so that an event that is published late counts as late.
 */
export async function publishAt(
  server: Server,
  rate: number,
  seconds: number,
  from: number,
): Promise<number> {
  const begin = nowUs()
  const total = Math.round(rate * seconds)
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((nowUs() - begin) * rate) / 1e6) + 1)
    for (; sent < due; sent += 1) server.publish(from + sent, begin + Math.round((sent * 1e6) / rate))
    await sleep(1)
  }
  return from + total
}

/** Returns the processor time of a process in s: all of it, and the part outside the kernel. */
export function timesOf(pid: number): { all: number; user: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return { all: (Number(fields[11]) + Number(fields[12])) / 100, user: Number(fields[11]) / 100 }
}
export const cpuOf = (pid: number): number => timesOf(pid).all

export function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

const sorted = (values: number[]) => [...values].sort((a, b) => a - b)
export const median = (values: number[]): number =>
  sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN
export const quantile = (values: number[], part: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN

const short = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3))
export const spread = (values: number[]): string =>
  values.length === 0
    ? 'none'
    : `${short(median(values))} (${short(Math.min(...values))}–${short(Math.max(...values))})`

function version(command: string, ...args: string[]): string {
  try {
    return execFileSync('bash', ['-c', `${command} ${args.join(' ')} 2>&1`], { encoding: 'utf8' }).trim()
  } catch {
    return 'not installed'
  }
}

export const machine = () => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: version('uname', '-r'),
  node: process.version,
  nginx: version('nginx', '-v'),
  nchan: version('dpkg-query', '-W', 'libnginx-mod-nchan'),
  betterSse: BETTER_SSE,
  loadavg: readFileSync('/proc/loadavg', 'utf8').trim(),
  date: new Date().toISOString(),
})

export function report(
  name: string,
  settings: object,
  rows: Record<string, string>[],
  numbers: unknown,
): void {
  console.log(`\n${name}  ${JSON.stringify(settings)}`)
  console.table(rows)
  console.log(JSON.stringify({ name, machine: machine(), settings, rows, numbers }))
}

export function option(name: string, fallback: number): number {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`))
  return given ? Number(given.split('=')[1]) : fallback
}
