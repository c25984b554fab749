/**
 * Server for comparison in the benchmarks: better-sse, used as in its manual, with all clients in one
 * channel.
 */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { printReady, startHistory } from './history.ts'

const [folder] = process.argv.slice(2)
const { createChannel, createSession } = await import(
  pathToFileURL(createRequire(`${folder}/x.js`).resolve('better-sse')).href
)
const channel = createChannel()
const history = await startHistory((rows) => {
  for (const row of rows) channel.broadcast(row, 'app', { eventId: `e.${row.seq}` })
})
const server = createServer(async (request, response) => {
  channel.register(await createSession(request, response, { keepAlive: null }))
})
server.requestTimeout = 0
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address()
  if (address && typeof address === 'object') printReady(address.port, history.port)
})
