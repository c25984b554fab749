/**
 * Provides a PostgreSQL server for tests of pg_dump. The usual test server may be newer than the installed
 * pg_dump, and pg_dump refuses newer servers.
 */
import { after } from 'node:test'
import { hasServer, installedClients } from '../../src/postgres/clientprograms.ts'
import { administer, urlOf } from './cluster.ts'
import { temporaryDirectory } from './directory.ts'
import { startServer } from './postgres-server.ts'
import { value } from './sql.ts'

/**
 * Returns the superuser's URL of a server that the installed pg_dump can dump, or null if there is none.
 * @throws if servers are installed and none of them starts.
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
      const server = await startServer(directory, temporaryDirectory())
      after(server.stop)
      return server.url
    } catch (error) {
      failed.push(error as Error)
    }
  }
  if (failed.length > 0) throw new AggregateError(failed, failed.map(({ message }) => message).join('\n'))
  return null
}
