/**
 * Relay with a mistake: after a notification it sends only the newest event, and omits events before it.
 * Shows that the chaos test finds lost events.
 */
import { createServer, type ServerResponse } from 'node:http'
import pg from 'pg'

export async function startNaiveRelay(url: string) {
  const clients = new Set<ServerResponse>()
  let session: pg.Client | undefined
  let stopped = false

  async function listen(): Promise<void> {
    if (stopped) return
    const client = new pg.Client({ connectionString: url, application_name: 'bloud-relay-naive' })
    session = client
    client.on('error', () => undefined)
    client.on('end', () => setTimeout(() => listen().catch(() => undefined), 20))
    client.on('notification', async () => {
      const { rows } = await client
        .query('select seq from bloud.events order by seq desc limit 1')
        .catch(() => ({ rows: [] }))
      for (const { seq } of rows)
        for (const response of clients) response.write(`event: app\nid: e.${seq}\ndata: {}\n\n`)
    })
    await client.connect()
    await client.query('listen bloud')
  }

  await listen()
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(':\n\n')
    clients.add(response)
    response.on('close', () => clients.delete(response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    async stop() {
      stopped = true
      server.closeAllConnections()
      server.close()
      await session?.end()
    },
  }
}
