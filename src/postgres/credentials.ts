/**
 * Reads and writes `<data>/database.json`, which contains the port and the passwords of the PostgreSQL
 * server.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { toJson, writeAtomic } from '../system/atomicfile.ts'
import { PostgresError } from './error.ts'

export const DATABASE = 'bloud_host_agent'
export const SUPERUSER = 'postgres'

/**
 * PostgreSQL logins of the relay (HTTP server and event stream), of the orchestrator (worker that executes
 * operations), and of the operator's psql.
 */
export const LOGINS = ['bloud_relay', 'bloud_orchestrator', 'bloud_psql'] as const
export type Login = (typeof LOGINS)[number]

/** Converts the passwords of an earlier version, in which psql used the login bloud_operator. */
function withPsqlLogin(passwords: unknown): unknown {
  const { bloud_operator, ...others } = z.record(z.string()).parse(passwords)
  return bloud_operator ? { bloud_psql: bloud_operator, ...others } : others
}

const schema = z.object({
  version: z.literal(1),
  database: z.string(),
  /** TCP port of the PostgreSQL server on 127.0.0.1. */
  port: z.number().int().min(1).max(65535),
  /** Directory of the Unix socket. Null if the path would be too long for a socket. */
  socketDir: z.string().nullable(),
  superuserPassword: z.string().min(1),
  rolePasswords: z.preprocess(
    withPsqlLogin,
    z.object({
      bloud_relay: z.string().min(1),
      bloud_orchestrator: z.string().min(1),
      bloud_psql: z.string().min(1),
    } satisfies Record<Login, z.ZodString>),
  ),
})

export type Credentials = z.infer<typeof schema>

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
