/** A TCP proxy before PostgreSQL, for the troubles of a network: refused, cut, or swallowed without a word. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Mood = 'open' | 'refusing' | 'swallowing'

export async function startProxy(target: { host: string; port: number }) {
  const pairs = new Set<Socket>()
  const silent = new Set<Socket>()
  let mood: Mood = 'open'

  function join(from: Socket, to: Socket): void {
    pairs.add(from)
    from.on('data', (bytes) => {
      if (mood !== 'swallowing' && !silent.has(from)) to.write(bytes)
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
    be(next: Mood): void {
      mood = next
      if (next === 'refusing') for (const socket of pairs) socket.destroy()
    },
    /** Works again for new connections; those that are open stay silent, as behind a router that was replaced. */
    forget(): void {
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
