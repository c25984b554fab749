/**
 * Server for comparison in the benchmarks: node:http. An event is serialised once for all clients.
 *
 * The first argument is an interval in ms. After an event, later events are collected for this interval and
 * then written together. With `throttled` as second argument the interval grows when writing takes long, as
 * in the relay.
 */
import { createServer, type ServerResponse } from 'node:http'
import { RELAY_LIMITS } from '../../../src/relay/relay.ts'
import { createThrottle } from '../../../src/relay/throttle.ts'
import { frameOf, printReady, startHistory } from './history.ts'

const gatherMs = Number(process.argv[2] ?? 0)
const flushShare = process.argv[3] === 'throttled' ? RELAY_LIMITS.flushShare : 1
const throttle = createThrottle({ ...RELAY_LIMITS, flushMs: gatherMs, flushShare })
const clients = new Set<ServerResponse>()
let gathered = ''
let timer: NodeJS.Timeout | undefined

function flush(): void {
  timer = undefined
  const begin = performance.now()
  const bytes = Buffer.from(gathered)
  gathered = ''
  for (const client of clients) client.write(bytes)
  // The end is measured in the next tick, because Node writes to the sockets only after this function
  // returns.
  process.nextTick(() => throttle.done(begin, performance.now()))
}

const history = await startHistory((rows) => {
  if (gatherMs === 0) {
    for (const row of rows) {
      const bytes = Buffer.from(frameOf(row))
      for (const client of clients) client.write(bytes)
    }
    return
  }
  gathered += rows.map(frameOf).join('')
  if (timer) return
  const wait = throttle.wait(performance.now())
  if (wait <= 0) flush()
  else timer = setTimeout(flush, wait)
})

const missed = new Map<string, Buffer>()
function after(id: string): Buffer {
  const key = `${id} ${history.head()}`
  const known = missed.get(key)
  if (known) return known
  missed.clear()
  const made = Buffer.from(
    history
      .after(Number(id.split('.')[1]))
      .map(frameOf)
      .join(''),
  )
  missed.set(key, made)
  return made
}

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const id = request.headers['last-event-id']
  response.write(id ? after(String(id)) : ':\n\n')
  clients.add(response)
  response.on('close', () => clients.delete(response))
})
server.requestTimeout = 0
server.headersTimeout = 0
server.keepAliveTimeout = 0
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  printReady((server.address() as { port: number }).port, history.port),
)
