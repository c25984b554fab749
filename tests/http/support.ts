/**
 * Starts the HTTP server with a real database for tests, and provides helpers for requests and event streams.
 */
import { connect } from 'node:net'
import pg from 'pg'
import { createLogger } from '../../src/log.ts'
import { type RelayServerOptions, startRelayServer } from '../../src/main/relayserver.ts'
import { parseEvents, type ReceivedEvent, until } from '../relay/fakes.ts'
import { testDatabase } from '../support/cluster.ts'

interface Tests {
  after(fn: () => unknown): void
}

const RAW_LIMIT_MS = 3000
const OK_LIMIT_MS = 20_000
const APPS = ['alpha', 'beta', 'gamma']
const CATALOG = `
  insert into bloud.catalog_cache (name, yaml_content, updated_at, entry, display_name, description, category,
    version, port, is_system)
  select name, '', now(), jsonb_build_object(
    'name', name, 'displayName', name, 'version', '1', 'port', 8000 + i,
    'isSystem', false, 'integrations', '{}'::jsonb), name, '', 'test', '1', 8000 + i, false
  from unnest($1::text[]) with ordinality as given (name, i)`

export type Agent = Awaited<ReturnType<typeof startAgent>>

/**
 * Starts the HTTP server on a free port with a new database. If `databasePort` is set, the server connects to
 * the database through the test's proxy on that port.
 */
export async function startAgent(t: Tests, options: Partial<RelayServerOptions> = {}, databasePort?: number) {
  const database = await testDatabase('http')
  const admin = new pg.Client({ connectionString: database.superuserUrl })
  await admin.connect()
  await admin.query(CATALOG, [APPS])
  const server = await startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: ['box.example'], ...options.config },
    databaseUrl: throughPort(database.urlFor('bloud_relay'), databasePort),
    log: createLogger('test', 'silent'),
    ...options,
  })
  t.after(async () => {
    await server.stop()
    await admin.end()
    await database.drop()
  })
  const url = `http://127.0.0.1:${server.port}`
  await untilReady(url)
  return {
    url,
    port: server.port,
    database,
    admin,
    stop: server.stop,
    get: (path: string, headers: Record<string, string> = {}) => fetch(url + path, { headers }),
    post: (path: string, body?: string, headers: Record<string, string> = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body }),
      }),
    raw: (request: string) => raw(server.port, request),
    untilClosed: (request: string) => untilClosed(server.port, request),
    stream: (path = '/api/events', headers: Record<string, string> = {}) =>
      openStream(t, url + path, headers),
    /** Returns the numbers of operations and events, which a refused request must not change. */
    async written(): Promise<string> {
      const { rows } = await admin.query(
        `select (select count(*) from bloud.operations) || $1 || (select count(*) from bloud.events)
         as counts`,
        ['/'],
      )
      return rows[0].counts
    },
  }
}

function throughPort(url: string, port: number | undefined): string {
  const changed = new URL(url)
  if (port) changed.port = String(port)
  return changed.href
}

/** Waits until the server has no reason not to be ready, other than the orchestrator that the tests lack. */
export async function untilReady(url: string): Promise<void> {
  const deadline = performance.now() + OK_LIMIT_MS
  for (;;) {
    const { causes } = await (await fetch(`${url}/readyz`)).json()
    const others = causes.filter(({ cause }: { cause: string }) => cause !== 'no_worker')
    if (others.length === 0) return
    if (performance.now() > deadline)
      throw new Error(`not ready after ${OK_LIMIT_MS} ms: ${JSON.stringify(causes)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export async function untilOk(send: () => Promise<Response>): Promise<void> {
  const deadline = performance.now() + OK_LIMIT_MS
  for (;;) {
    const answer = await send()
    if (answer.ok) return
    const body = await answer.text()
    if (performance.now() > deadline)
      throw new Error(`still ${answer.status} after ${OK_LIMIT_MS} ms: ${body}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Sends `request` unchanged over TCP. Returns all text up to the end of the connection. */
async function untilClosed(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  socket.setTimeout(OK_LIMIT_MS, () => socket.destroy(new Error('the server does not close the connection')))
  socket.write(request)
  let answer = ''
  for await (const text of socket) answer += text
  return answer
}

/**
 * Sends `request` unchanged over TCP. Returns the received text when the reply is complete or the connection
 * is closed.
 */
export function raw(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const limit = setTimeout(
      () => socket.destroy(new Error(`no answer within ${RAW_LIMIT_MS} ms`)),
      RAW_LIMIT_MS,
    )
    let answer = ''
    const done = () => {
      clearTimeout(limit)
      socket.destroy()
      resolve(answer)
    }
    socket.on('data', (bytes) => {
      answer += bytes
      const [head = '', body] = answer.split('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
      if (body !== undefined && (Buffer.byteLength(body) >= length || /^HEAD/.test(request))) done()
    })
    socket.on('error', (error) => (answer ? done() : reject(error)))
    socket.on('close', done)
    socket.write(request)
  })
}

export async function openStream(t: Tests, url: string, headers: Record<string, string>) {
  const abort = new AbortController()
  t.after(() => abort.abort())
  const answer = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  })
  let text = ''
  let ended = false
  const decoder = new TextDecoder()
  const read = async () => {
    const reader = answer.body?.getReader()
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
      text += decoder.decode(chunk.value, { stream: true })
    }
  }
  read()
    .catch(() => undefined)
    .finally(() => {
      ended = true
    })
  const stream = {
    answer,
    text: () => text,
    events: (): ReceivedEvent[] => parseEvents(text),
    named: (name: string) => stream.events().filter((event) => event.event === name),
    ended: () => ended,
    until: (what: () => boolean) => until(what, `a condition on the stream; received so far:\n${text}`),
    close: () => abort.abort(),
  }
  return stream
}
