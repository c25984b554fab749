/** A line to PostgreSQL that breaks behind a piece of one's choice. */
import { connect, createServer, type Socket } from 'node:net'

/** Lets through so many of the pieces that the client sends, and cuts the line right behind the last of them. */
export async function shortLine(
  url: string,
  pieces: number,
): Promise<{ url: string; cut(): boolean; stop(): void }> {
  const target = new URL(url)
  let sent = 0
  const server = createServer((client: Socket) => {
    const upstream = connect(Number(target.port), target.hostname)
    const hangUp = () => [client, upstream].map((socket) => socket.destroy())
    for (const socket of [client, upstream]) socket.on('error', hangUp).on('close', hangUp)
    upstream.pipe(client)
    client.on('data', (bytes) => {
      sent += 1
      upstream.write(bytes, () => sent >= pieces && hangUp())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const line = new URL(url)
  line.port = String(typeof address === 'object' ? address?.port : 0)
  return { url: line.href, cut: () => sent >= pieces, stop: () => void server.close() }
}
