/**
 * Probes the health of an app once. A probe connects only to loopback addresses of this machine, whatever the
 * path of the health check is, and follows no redirect.
 */
import { connect } from 'node:net'
import type { CatalogApp } from '../domain/catalog.ts'
import { LOOPBACK, type Loopback } from '../system/portowner.ts'

/** Upper limit of a health probe, in ms. An app that responds later counts as failed. */
const PROBE_LIMIT_MS = 5_000
/** Upper limit of the headers of a response in bytes. The body is never read. */
const MAX_HEADER_BYTES = 64 * 1024

/** Result of a probe of one address. `connected` is false if no TCP connection could be made. */
interface Answer {
  problem: string | null
  connected: boolean
}

/**
 * Probes an app by an HTTP request to its health path, or by a TCP connection. The next address is tried only
 * if no connection could be made to the address before. Returns the problem, or null if the app is healthy.
 * @param limitMs time in ms after which the probe ends. A caller that needs the sentence of the problem uses
 *   the default.
 */
export async function probe(
  port: number,
  check: CatalogApp['healthCheck'],
  addresses: readonly Loopback[] = LOOPBACK,
  limitMs = PROBE_LIMIT_MS,
): Promise<string | null> {
  const end = AbortSignal.timeout(limitMs)
  let first: string | null = null
  for (const address of addresses) {
    const { problem, connected } = await (check.kind === 'tcp'
      ? probeTcp(address, port, end)
      : probeHttp(address, port, check.path, end))
    if (connected) return problem
    first ??= problem
  }
  return first ?? `port ${port} can't be reached`
}

function probeTcp(host: Loopback, port: number, end: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal: end })
    const answer = (problem: string | null) => {
      socket.destroy()
      resolve({ problem, connected: problem === null })
    }
    socket.once('connect', () => answer(null))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      answer(
        end.aborted
          ? `port ${port} did not accept a connection within ${PROBE_LIMIT_MS / 1000} s`
          : `port ${port} can't be reached (${error.code ?? error.message})`,
      ),
    )
  })
}

/** Loads the HTTP client of Node, which takes longer than a probe. */
export const loadHttp = () => import('node:http')

async function probeHttp(host: Loopback, port: number, path: string, end: AbortSignal): Promise<Answer> {
  const { request } = await loadHttp()
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  // The path is appended, and not resolved, because `//name` would be resolved to another host.
  const { pathname, search } = new URL(base + (path.startsWith('/') ? path : `/${path}`))
  const address = `${base}${pathname}${search}`
  return new Promise((resolve) => {
    let connected = false
    const sent = request({
      host,
      port,
      path: pathname + search,
      headers: { accept: '*/*', 'user-agent': 'bloud-health-check' },
      agent: false, // Each probe has a connection of its own, without a proxy of the environment.
      maxHeaderSize: MAX_HEADER_BYTES,
      signal: end,
    })
    const answer = (problem: string | null) => {
      sent.destroy()
      resolve({ problem, connected })
    }
    sent.once('socket', (socket) =>
      socket.once('connect', () => {
        connected = true
      }),
    )
    sent.once('response', ({ statusCode = 0 }) =>
      answer(isHealthy(statusCode) ? null : `${address} answered ${statusCode}`),
    )
    sent.on('error', (error: NodeJS.ErrnoException) =>
      answer(
        end.aborted
          ? `${address} did not answer within ${PROBE_LIMIT_MS / 1000} s`
          : `${address} can't be reached (${error.code ?? error.message})`,
      ),
    )
    sent.once('close', () => answer(`${address} closed the connection without an answer`))
    sent.end()
  })
}

/**
 * True if the HTTP status means that the app is healthy. 401 and 403 count too, because an app that requires
 * a login responds with them.
 */
function isHealthy(status: number): boolean {
  return (status >= 200 && status < 400) || status === 401 || status === 403
}
