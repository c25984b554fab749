/** Checks that a TCP port is free for an app. */
import { createServer } from 'node:net'

/** A port counts as used if it is used on any of these: an app may listen on one address or on all. */
const ADDRESSES = ['127.0.0.1', '0.0.0.0', '::1', '::']

/** Returns the reason why no app can listen on this port now; null if the port is free. */
export async function portObstacle(port: number): Promise<string | null> {
  for (const address of ADDRESSES) {
    const code = await tryToListen(port, address)
    if (code === 'EADDRINUSE') return `Port ${port} is already used by another program on this machine.`
    if (code === 'EACCES') return `Port ${port} may only be opened by an administrator (root).`
  }
  return null
}

/**
 * Returns the error code of listening, or null. A machine without IPv6 gives a code that does not count as
 * used.
 */
function tryToListen(port: number, host: string): Promise<string | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? null))
    server.listen({ port, host, exclusive: true, ipv6Only: host.includes(':') }, () => {
      server.close(() => resolve(null))
    })
  })
}
