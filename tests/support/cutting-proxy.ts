/**
 * TCP proxy to PostgreSQL that cuts the connection after a given number of chunks, to test a connection loss
 * at any point of a conversation.
 */
import { connect, createServer, type Socket } from 'node:net'

export async function startCuttingProxy(
  url: string,
  chunks: number,
): Promise<{ url: string; sent(): number; stop(): void }> {
  const target = new URL(url)
  let sent = 0
  const server = createServer((client: Socket) => {
    const upstream = connect(Number(target.port), target.hostname)
    const closeBoth = () => [client, upstream].map((socket) => socket.destroy())
    for (const socket of [client, upstream]) socket.on('error', closeBoth).on('close', closeBoth)
    upstream.pipe(client)
    client.on('data', (bytes) => {
      sent += 1
      upstream.write(bytes, () => sent >= chunks && closeBoth())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const proxied = new URL(url)
  proxied.port = String(typeof address === 'object' ? address?.port : 0)
  return { url: proxied.href, sent: () => sent, stop: () => void server.close() }
}
