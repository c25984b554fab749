/**
 * node:http, tuned: each event serialised once, one write per client, no delay of packets. With a number of
 * milliseconds as argument it gathers events: the first at once, then one write per that time; with `paced` behind it
 * also as the relay does where a round takes long.
 */
import { createServer, type ServerResponse } from 'node:http'
import { RELAY_LIMITS } from '../../../src/relay/relay.ts'
import { createThrottle } from '../../../src/relay/throttle.ts'
import { frameOf, startHistory, tellReady } from './history.ts'

const gatherMs = Number(process.argv[2] ?? 0)
const flushShare = process.argv[3] === 'paced' ? RELAY_LIMITS.flushShare : 1
const pace = createThrottle({ ...RELAY_LIMITS, flushMs: gatherMs, flushShare })
const clients = new Set<ServerResponse>()
let gathered = ''
let timer: NodeJS.Timeout | undefined

function flush(): void {
  timer = undefined
  const begin = performance.now()
  const bytes = Buffer.from(gathered)
  gathered = ''
  for (const client of clients) client.write(bytes)
  // It writes to the sockets after this, in ticks that are queued by now.
  process.nextTick(() => pace.done(begin, performance.now()))
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
  const wait = pace.wait(performance.now())
  if (wait <= 0) flush()
  else timer = setTimeout(flush, wait)
})

/** What follows an id, put together once for all who come with it. */
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
  tellReady((server.address() as { port: number }).port, history.port),
)
