/** Checks that the agent can listen on its address and port, and explains the error if it can't. */
import { createServer } from 'node:net'
import type { Config } from '../config.ts'
import { pollUntil } from '../system/timeout.ts'
import { StartError } from './starterror.ts'

/** Retry limit in milliseconds, because a relay whose parent was just killed still holds the port. */
const PORT_LIMIT_MS = 3_000

/** @throws StartError if the address and port can't be used. */
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

/** True if the code is an error of listening that has its own explanation. */
export const isListenCode = (code: string) => code in TEXTS

/** Converts an error of listening to a message that names the setting to change. */
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
