/**
 * node:http, tuned: each event serialised once, one write per client, no delay of packets. With a number of
 * milliseconds as argument it gathers events as the relay does: the first at once, then one write per that time.
 */
import { createServer, type ServerResponse } from 'node:http'
import { frameOf, startHistory, tellReady } from './history.ts'

const gatherMs = Number(process.argv[2] ?? 0)
const clients = new Set<ServerResponse>()
let gathered = ''
let last = 0
let timer: NodeJS.Timeout | undefined

function flush(): void {
  timer = undefined
  last = performance.now()
  const bytes = Buffer.from(gathered)
  gathered = ''
  for (const client of clients) client.write(bytes)
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
  const wait = last + gatherMs - performance.now()
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
