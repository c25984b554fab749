/** A PostgreSQL server that the pg_dump of this machine can dump: it refuses servers newer than itself. */
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import { hasServer, installedClients } from '../../src/postgres/clientprograms.ts'
import { serverUser } from '../../src/postgres/serveruser.ts'
import { terminateProcess, run } from '../../src/system/childprocess.ts'
import { lookUntil } from '../../src/system/timeout.ts'
import { type Agent, startAgent } from './agent.ts'
import { administer, urlOf } from './cluster.ts'
import { temporaryDirectory } from './directory.ts'
import { freePort } from './port.ts'
import { session, value } from './sql.ts'

const LIMIT_MS = 60_000

/**
 * The address of its database `postgres` as superuser, or null where there is none. It ends with the test file.
 * @throws when there is one, and none of them starts.
 */
export async function serverForDump(): Promise<string | null> {
  const major = await administer((client) =>
    value<number>(client, "select current_setting('server_version_num')::int / 10000"),
  )
  const clients = await installedClients(process.env)
  if (clients.some((client) => client.major >= major)) return urlOf('postgres')
  const failed: Error[] = []
  for (const { directory } of clients.filter(hasServer)) {
    try {
      return await startServer(directory)
    } catch (error) {
      failed.push(error as Error)
    }
  }
  if (failed.length > 0) throw new AggregateError(failed, failed.map(({ message }) => message).join('\n'))
  return null
}

/** Where a distribution's client is, its server often is too. */
async function startServer(bin: string): Promise<string> {
  const top = temporaryDirectory()
  const data = join(top, 'data')
  const user = await serverUser()
  mkdirSync(data)
  if (user) {
    chmodSync(top, 0o755)
    chownSync(data, user.uid, user.gid)
  }
  const options = { ...user, cwd: '/', limitMs: LIMIT_MS }
  const made = await run(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '--auth=trust', '-N', '-E', 'UTF8', '--locale=C'],
    options,
  )
  if (made.code !== 0) throw new Error(made.output)
  const port = await freePort()
  const settings = ['-p', String(port), '-k', '', '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off']
  const server: Agent = startAgent(join(bin, 'postgres'), ['-D', data, ...settings], { ...user, cwd: '/' })
  after(async () => {
    if (server.child.pid)
      await terminateProcess(server.child.pid, [
        ['SIGINT', LIMIT_MS],
        ['SIGKILL', LIMIT_MS],
      ])
  })
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  const up = async () =>
    (await session(url).then(
      (client) => client.end(),
      () => false,
    )) === false
      ? undefined
      : true
  if (!(await lookUntil(up, LIMIT_MS))) throw new Error(server.output())
  return url
}
