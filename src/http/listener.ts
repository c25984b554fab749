/** Listening with uWebSockets.js, whose types do not know all that it can. */
import * as uws from 'uWebSockets.js'

type ListenSocket = Parameters<typeof uws.us_listen_socket_close>[0]

/** With an address and options at once; the package declares only either. */
interface Listenable {
  listen(host: string, port: number, options: number, done: (socket: ListenSocket | false) => void): unknown
}

/** By default two programs may share a port, and each gets half of the connections. */
const { LIBUS_LISTEN_EXCLUSIVE_PORT } = uws as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }

/** The port (or the address) can't be had. */
export class ListenError extends Error {
  readonly code = 'EADDRINUSE'
}

export interface Listening {
  port: number
  /** Takes no more connections; those that are open stay. */
  close(): void
}

/** @param port 0: any free one. @throws ListenError */
export function listenOn(app: uws.TemplatedApp, host: string, port: number): Promise<Listening> {
  return new Promise((resolve, reject) => {
    ;(app as unknown as Listenable).listen(host, port, LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
      if (socket) resolve(listeningAt(socket))
      else reject(new ListenError(cannotListen(host, port)))
    })
  })
}

function listeningAt(socket: ListenSocket): Listening {
  return {
    port: uws.us_socket_local_port(socket as Parameters<typeof uws.us_socket_local_port>[0]),
    close: () => uws.us_listen_socket_close(socket),
  }
}

function cannotListen(host: string, port: number): string {
  return (
    `Can't listen on ${host} port ${port}: another program has it, or this machine has no such address. ` +
    'Choose another with BLOUD_PORT (and BLOUD_LISTEN).'
  )
}
