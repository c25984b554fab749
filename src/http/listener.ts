/** Opens the listening socket with uWebSockets.js. */
import * as uws from 'uWebSockets.js'

type ListenSocket = Parameters<typeof uws.us_listen_socket_close>[0]

/** Type of `listen` with an address and options, which the type declarations of uWebSockets.js lack. */
interface Listenable {
  listen(host: string, port: number, options: number, done: (socket: ListenSocket | false) => void): unknown
}

/**
 * Option that makes `listen` fail if another program uses the port. Without the option, each connection would
 * go to either of the two programs.
 */
const { LIBUS_LISTEN_EXCLUSIVE_PORT } = uws as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }

/** Error for a port that is in use, or for an address that this machine does not have. */
export class ListenError extends Error {
  readonly code = 'EADDRINUSE'
}

export interface Listening {
  port: number
  close(): void
}

/**
 * Listens on an address and a port.
 * @param port 0 selects any free port.
 * @throws ListenError
 */
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
    `Can't listen on ${host} port ${port}: another program uses the port, or this machine has no such ` +
    'address. ' +
    'Set another port with BLOUD_PORT, or another address with BLOUD_LISTEN.'
  )
}
