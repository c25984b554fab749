/** A TCP proxy before PostgreSQL, for the troubles of a network: refused, cut, or swallowed without a word. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type ProxyMode = 'open' | 'refusing' | 'dropping'

export async function startProxy(target: { host: string; port: number }) {
  const pairs = new Set<Socket>()
  const silent = new Set<Socket>()
  let mood: ProxyMode = 'open'

  function join(from: Socket, to: Socket): void {
    pairs.add(from)
    from.on('data', (bytes) => {
      if (mood !== 'dropping' && !silent.has(from)) to.write(bytes)
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      pairs.delete(from)
      silent.delete(from)
      to.destroySoon() // what it was given still arrives
    })
  }

  const server = createServer((client) => {
    if (mood === 'refusing') {
      client.destroy()
      return
    }
    const upstream = connect(target)
    join(client, upstream)
    join(upstream, client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    port: (server.address() as AddressInfo).port,
    /** `refusing` also cuts what is connected; `swallowing` leaves it open and loses every byte. */
    setMode(next: ProxyMode): void {
      mood = next
      if (next === 'refusing') for (const socket of pairs) socket.destroy()
    },
    /** Works again for new connections; those that are open stay silent, as behind a router that was replaced. */
    dropOpenConnections(): void {
      for (const socket of pairs) silent.add(socket)
      mood = 'open'
    },
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
