/** Checks that a TCP port is free for an app. */
import { createServer } from 'node:net'

/** IPv4 and IPv6 addresses that are checked, because an app may listen on any of them. */
const ADDRESSES = ['127.0.0.1', '0.0.0.0', '::1', '::']

/** Returns the reason why an app can't listen on this port now. Returns null if the port is free. */
export async function portObstacle(port: number): Promise<string | null> {
  for (const address of ADDRESSES) {
    const code = await tryToListen(port, address)
    if (code === 'EADDRINUSE') return `Port ${port} is already used by another program on this machine.`
    if (code === 'EACCES') return `Port ${port} may only be opened by an administrator (root).`
  }
  return null
}

function tryToListen(port: number, host: string): Promise<string | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? null))
    server.listen({ port, host, exclusive: true, ipv6Only: host.includes(':') }, () => {
      server.close(() => resolve(null))
    })
  })
}
