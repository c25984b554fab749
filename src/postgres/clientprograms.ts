/** Finds the PostgreSQL client programs that are installed on the system: pg_dump, pg_restore and psql. */
import { constants, existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { run } from '../system/childprocess.ts'

/** Folders in which packages of operating systems install PostgreSQL, with one subfolder for each version. */
const ROOTS = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/usr']
const VERSIONED = /^(\d+|libpq|postgresql@\d+|pgsql-\d+)$/
const PROGRAMS = ['pg_dump', 'pg_restore', 'psql'] as const
const VERSION_LIMIT_MS = 10_000

export interface PostgresClient {
  directory: string
  major: number
}

/** Error if no installed client program works with the server. The message names the packages to install. */
class ClientError extends Error {
  readonly code = 'no_client'
}

export const clientProgram = ({ directory }: PostgresClient, name: (typeof PROGRAMS)[number]) =>
  join(directory, name)

export async function installedClients(env: NodeJS.ProcessEnv): Promise<PostgresClient[]> {
  const versioned = await Promise.all(ROOTS.map(versionedFolders))
  const folders = new Set([...(env.PATH ?? '').split(delimiter).filter(Boolean), ...versioned.flat()])
  const found = await Promise.all([...folders].map((directory) => clientIn(directory, env)))
  return found.filter((client) => client !== null)
}

export const hasServer = ({ directory }: PostgresClient): boolean =>
  ['initdb', 'postgres'].every((name) => existsSync(join(directory, name)))

async function versionedFolders(root: string): Promise<string[]> {
  const names = await fs.readdir(root).catch(() => [])
  return names.filter((name) => VERSIONED.test(name)).map((name) => join(root, name, 'bin'))
}

async function clientIn(directory: string, env: NodeJS.ProcessEnv): Promise<PostgresClient | null> {
  try {
    for (const name of PROGRAMS) await fs.access(join(directory, name), constants.X_OK)
    const options = { env, limitMs: VERSION_LIMIT_MS }
    const { code, output } = await run(join(directory, 'pg_dump'), ['--version'], options)
    const major = Number(/(\d+)(\.\d+)* *(\(.*\))?$/.exec(output)?.[1])
    return code === 0 && major > 0 ? { directory, major } : null
  } catch {
    return null
  }
}

/**
 * Returns the client programs with the major version of the server, or else with the nearest newer version.
 * Older programs are excluded, because pg_dump can't dump the database of a newer server.
 * @throws ClientError
 */
export function chooseClient(clients: PostgresClient[], serverMajor: number): PostgresClient {
  const [best] = clients.filter(({ major }) => major >= serverMajor).sort((a, b) => a.major - b.major)
  if (best) return best
  const installed = [...new Set(clients.map(({ major }) => major))].sort().join(', ')
  throw new ClientError(
    `The server is PostgreSQL ${serverMajor}. It needs pg_dump, pg_restore and psql ${serverMajor} or ` +
      `newer; installed: ${installed || 'none'}. Install them from PostgreSQL's own packages:
  Debian, Ubuntu   apt install postgresql-common && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh
                   apt install postgresql-client-${serverMajor}
  Fedora           https://www.postgresql.org/download/linux/redhat, then: dnf install postgresql${serverMajor}
  NixOS            nix-shell -p postgresql_${serverMajor}
  macOS            brew install postgresql@${serverMajor}`,
  )
}
