/** TCP proxy in front of PostgreSQL that simulates refused connections, lost connections and dropped data. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type ProxyMode = 'open' | 'refusing' | 'dropping'

export async function startProxy(target: { host: string; port: number }) {
  const pairs = new Set<Socket>()
  const muted = new Set<Socket>()
  /** First bytes of each connection, which contain the name of its session. */
  const beginnings = new Map<Socket, string>()
  const sent: string[] = []
  let mode: ProxyMode = 'open'

  function record(from: Socket, to: Socket, bytes: Buffer): void {
    const text = bytes.toString('latin1')
    sent.push(text)
    if (beginnings.has(from)) return
    beginnings.set(from, text)
    beginnings.set(to, text)
  }

  function join(from: Socket, to: Socket): void {
    pairs.add(from)
    from.on('data', (bytes) => {
      if (mode !== 'dropping' && !muted.has(from)) to.write(bytes)
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      pairs.delete(from)
      muted.delete(from)
      beginnings.delete(from)
      to.destroySoon() // closes the socket after the written bytes
    })
  }

  const server = createServer((client) => {
    if (mode === 'refusing') {
      client.destroy()
      return
    }
    const upstream = connect(target)
    client.on('data', (bytes) => record(client, upstream, bytes))
    join(client, upstream)
    join(upstream, client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    port: (server.address() as AddressInfo).port,
    /**
     * Sets the mode of the proxy. In mode `refusing`, the proxy closes all connections, also new ones. In
     * mode `dropping`, the connections stay open, but the proxy drops their data.
     */
    setMode(next: ProxyMode): void {
      mode = next
      if (next === 'refusing') for (const socket of pairs) socket.destroy()
    },
    muteOpenConnections(): void {
      for (const socket of pairs) muted.add(socket)
      mode = 'open'
    },
    /** Drops the data of the open connections of the session `name` (application_name), both ways. */
    muteSession(name: string): void {
      for (const [socket, text] of beginnings) if (text.includes(`${name}\0`)) muted.add(socket)
    },
    /** Number of times that clients have sent `text` in one piece. */
    countSent: (text: string) => sent.filter((piece) => piece.includes(text)).length,
    cut(): void {
      for (const socket of pairs) socket.destroy()
    },
    get connections() {
      return pairs.size / 2
    },
    async stop(): Promise<void> {
      for (const socket of pairs) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
