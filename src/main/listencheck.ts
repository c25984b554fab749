/** Checks, before the agent starts its services, that its address and port are free. */
import { createServer } from 'node:net'
import type { Config } from '../config.ts'
import { pollUntil } from '../system/timeout.ts'
import { StartError } from './starterror.ts'

/**
 * Time in ms for which the check is repeated if the port is in use. The port may belong to the relay of a
 * killed agent, which stops a moment later.
 */
const PORT_LIMIT_MS = 3_000

/**
 * Waits for at most `PORT_LIMIT_MS` until the configured address and port are free.
 * @throws StartError if the agent can't listen on this address and port.
 */
export async function refuseTakenPort({ port, listen }: Config): Promise<void> {
  let problem: NodeJS.ErrnoException | null = null
  const free = await pollUntil(async () => {
    problem = await tryListen(port, listen)
    return problem === null
  }, PORT_LIMIT_MS)
  if (!free && problem) throw listenError(problem, port, listen)
}

const TEXTS: Record<string, (port: number, listen: string) => string> = {
  EADDRINUSE: (port) =>
    `Port ${port} is used by another program. Set BLOUD_PORT to a free port: BLOUD_PORT=3001 npm start`,
  EACCES: (port) => `Port ${port} is reserved for root. Set BLOUD_PORT to a port above 1023.`,
  EADDRNOTAVAIL: (_, listen) =>
    `This machine has no address ${listen}. Set BLOUD_LISTEN to an existing address, such as 127.0.0.1.`,
}

/** Returns true if the error code means that the agent can't listen on its address and port. */
export const isListenCode = (code: string) => code in TEXTS

/** Converts an error of `listen` into an error whose message names the setting to change. */
export function listenError(
  { code = '', message }: NodeJS.ErrnoException,
  port: number,
  listen: string,
): StartError {
  const text = TEXTS[code]?.(port, listen) ?? `Can't listen on ${listen}:${port}: ${message}`
  return new StartError(code || 'listen_failed', text)
}

function tryListen(port: number, host: string): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', resolve)
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(null)))
  })
}
