/** Starts a PostgreSQL server that is installed on the operating system. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { hasServer, installedClients } from '../../src/postgres/clientprograms.ts'
import { serverUser } from '../../src/postgres/serveruser.ts'
import { run, terminateProcess } from '../../src/system/childprocess.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess } from './agent.ts'
import { freePort } from './port.ts'

const LIMIT_MS = 60_000
const OLDEST_MAJOR = 15

export interface SystemServer {
  url: string
  port: number
  /** Data directory of the server. */
  data: string
  stop(): Promise<unknown>
  /** Ends the server without a shutdown checkpoint, as a crash does. */
  crash(): Promise<unknown>
}

async function isUp(url: string): Promise<true | undefined> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return undefined
  } finally {
    await client.end().catch(() => undefined)
  }
}

/**
 * Creates a PostgreSQL data directory in `folder` and starts a server on it.
 * @param bin folder with the programs initdb and postgres.
 */
export async function startServer(bin: string, folder: string): Promise<SystemServer> {
  const top = mkdtempSync(join(folder, 'cluster-'))
  const data = join(top, 'data')
  const user = await serverUser()
  mkdirSync(data)
  if (user) {
    // PostgreSQL refuses to run as root. It runs as another user, who must be able to enter both folders.
    for (const each of [folder, top]) chmodSync(each, statSync(each).mode | 0o055)
    chownSync(data, user.uid, user.gid)
  }
  const options = { ...user, cwd: '/', limitMs: LIMIT_MS }
  const initArgs = ['-D', data, '-U', 'postgres', '--auth=trust', '-N', '-E', 'UTF8', '--locale=C']
  const made = await run(join(bin, 'initdb'), initArgs, options)
  if (made.code !== 0) throw new Error(made.output)
  return startOn(bin, data, await freePort())
}

/** Starts a server on an existing data directory and waits until it accepts connections. */
export async function startOn(bin: string, data: string, port: number): Promise<SystemServer> {
  const settings = ['listen_addresses=127.0.0.1', 'fsync=off', 'max_connections=300']
  const args = ['-D', data, '-p', String(port), '-k', '', ...settings.flatMap((each) => ['-c', each])]
  const server = startProcess(join(bin, 'postgres'), args, { ...(await serverUser()), cwd: '/' })
  const endWith = async (signal: NodeJS.Signals) => {
    const steps: [NodeJS.Signals, number][] = [
      [signal, LIMIT_MS],
      ['SIGKILL', LIMIT_MS],
    ]
    if (server.child.pid) await terminateProcess(server.child.pid, steps)
  }
  const stop = () => endWith('SIGINT')
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  if (await pollUntil(() => isUp(url), LIMIT_MS))
    return { url, port, data, stop, crash: () => endWith('SIGQUIT') }
  await stop()
  throw new Error(server.output())
}

export async function startOldestServer(folder: string): Promise<(SystemServer & { major: number }) | null> {
  const clients = (await installedClients(process.env)).filter(hasServer)
  const oldest = clients.find(({ major }) => major === OLDEST_MAJOR)
  if (!oldest) return null
  return { major: oldest.major, ...(await startServer(oldest.directory, folder)) }
}
