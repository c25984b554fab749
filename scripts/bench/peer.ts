/** The servers that are compared, and a publisher of events at a fixed rate. */

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FOLDER, HERE, line, nowUs, start, stop } from './process.ts'
import { PADDING } from './servers/history.ts'

const NCHAN = '/usr/share/nginx/modules/ngx_nchan_module.so'
/** Number of messages that nchan (an nginx module for event streams) keeps for clients that reconnect. */
const KEPT_MESSAGES = process.env.BENCH_KEPT ?? '20000'
export const BETTER_SSE = 'better-sse@0.16.1'

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
