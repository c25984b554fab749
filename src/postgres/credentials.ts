/**
 * Reads and writes `<data>/database.json`, which contains the port and the passwords of the PostgreSQL
 * server.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { toJson, writeAtomic } from '../system/atomicfile.ts'
import type { Credentials } from './credentialsschema.ts'
import { PostgresError } from './error.ts'
import type { Login } from './login.ts'

export type { Credentials } from './credentialsschema.ts'
export { LOGINS, type Login } from './login.ts'

export const DATABASE = 'bloud_host_agent'
export const SUPERUSER = 'postgres'

/**
 * First port that is tried for the PostgreSQL server. Not 5432, because a PostgreSQL server of the operating
 * system may use that port.
 */
const FIRST_PORT = 54329
const PASSWORD_BYTES = 24

const fileOf = (dataDir: string) => join(dataDir, 'database.json')
const password = () => randomBytes(PASSWORD_BYTES).toString('base64url')

export function newCredentials(): Credentials {
  return {
    version: 1,
    database: DATABASE,
    port: FIRST_PORT,
    socketDir: null,
    superuserPassword: password(),
    rolePasswords: { bloud_relay: password(), bloud_orchestrator: password(), bloud_psql: password() },
  }
}

/** Reads `database.json`. Returns null if the file does not exist, because no server was started yet. */
export async function readCredentials(dataDir: string): Promise<Credentials | null> {
  let text: string
  try {
    text = await fs.readFile(fileOf(dataDir), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const { schema } = await import('./credentialsschema.ts')
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new PostgresError('facts_damaged', `${fileOf(dataDir)} is damaged. Restore it from a backup.`, {
      cause,
    })
  }
}

/** Writes `database.json` atomically, readable only for the file's owner. */
export function writeCredentials(dataDir: string, facts: Credentials): Promise<void> {
  return writeAtomic(fileOf(dataDir), toJson(facts), 0o600)
}

/**
 * Returns the URL with which a login or the superuser connects to the database. The embedded server has no
 * TLS, so PGSSLMODE of the operator must not apply to it.
 */
export function databaseUrl(
  facts: Credentials,
  login: Login | 'superuser',
  database = facts.database,
): string {
  const [user, secret] =
    login === 'superuser' ? [SUPERUSER, facts.superuserPassword] : [login, facts.rolePasswords[login]]
  const [password, name] = [secret, database].map(encodeURIComponent)
  return `postgresql://${user}:${password}@127.0.0.1:${facts.port}/${name}?sslmode=disable`
}
