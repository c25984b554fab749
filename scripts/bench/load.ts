/** The load client (load.c), a process that opens many connections to a server and counts events. */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FOLDER, HERE, line, start, stop } from './process.ts'

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
